#include "chunkserver/own_key.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <future>
#include <thread>

#include "common/chunk_token.h"
#include "common/log.h"
#include "proto/op_types.h"
#include "rpc/daemon.h"
#include "rpc/event_loop.h"
#include "rpc/net_client.h"

namespace kfs {
namespace {

constexpr char kKeyFile[] = "kfs-disk.key";
// Behind the key file's own lines: the id of the invitation that it was given for.
constexpr char kGivenFor[] = "given-for = ";
constexpr auto kJoinPatience = std::chrono::seconds(60);
constexpr auto kJoinPause = std::chrono::milliseconds(500);

struct KeptKey {
  Credentials credentials;  // empty: there is none
  std::string given_for;
};

KeptKey ReadKept(const ChunkStore& store) {
  for (const auto& [disk, text] : store.ReadSmallFiles(kKeyFile)) {
    Result<Credentials> read =
        text.ok() ? Credentials::Parse(*text, disk + "/" + kKeyFile) : Result<Credentials>(text.status());
    if (!read.ok() || read->is_root()) {
      KFS_LOG(warn, "key.unreadable disk={} reason=\"{}\"", disk,
              read.ok() ? "it is no key file" : read.status().ToString());
      continue;
    }
    KeptKey kept{.credentials = std::move(*read), .given_for = ""};
    if (const size_t at = text->find(kGivenFor); at != std::string::npos) {
      const size_t from = at + sizeof(kGivenFor) - 1;
      kept.given_for = text->substr(from, text->find('\n', from) - from);
    }
    return kept;
  }
  return {};
}

// On as many disks as take it: a key that is nowhere would be asked for until the invitation is over.
Status Keep(const ChunkStore& store, const KeptKey& key) {
  return store.WriteSmallFiles(kKeyFile, key.credentials.FileText() + kGivenFor + key.given_for + "\n");
}

struct Given {
  Status status;
  pb::KeyExportReply reply;
};

// One metaserver, once.
Given AskOne(EventLoop& loop, const Credentials& invitation, const std::string& uuid,
             const std::string& metaserver, const pb::JoinClusterRequest& request) {
  std::promise<Given> promise;
  std::future<Given> given = promise.get_future();
  std::unique_ptr<NetClient> client;
  loop.Post([&] {
    NetClient::Options net;
    net.name = "metaserver " + metaserver;
    net.addresses = {metaserver};
    net.role = pb::HelloRequest::CHUNKSERVER;
    net.id = uuid;
    net.cluster_id = invitation.cluster_id();
    net.credentials = invitation;
    client = std::make_unique<NetClient>(loop, std::move(net));
    client->Enqueue<rpc::JoinCluster>(
        request,
        [&](const Answer& answer) {
          Given out;
          out.status = ParseAnswer(answer, &out.reply);
          // Nobody has taken the request: why, is known to the link.
          if (out.status.err() == ETIMEDOUT && !client->last_error().ok()) out.status = client->last_error();
          promise.set_value(std::move(out));
        },
        std::chrono::seconds(5));
  });
  Given out = given.get();
  std::promise<void> closed;
  loop.Post([&] {
    client.reset();
    closed.set_value();
  });
  closed.get_future().get();
  return out;
}

Result<Credentials> Join(const Credentials& invitation, const std::string& uuid,
                         const std::vector<std::string>& metaservers, const pb::JoinClusterRequest& request) {
  LoopThread thread("kfs-join");
  const auto until = thread.loop().clock().MonoNow() + kJoinPatience;
  Status last;
  for (size_t n = 0;; ++n) {
    const std::string& metaserver = metaservers[n % metaservers.size()];
    Given given = AskOne(thread.loop(), invitation, uuid, metaserver, request);
    if (given.status.ok()) {
      const pb::KeyExportReply& key = given.reply;
      if (!IsChunkserverKeyOf(uuid, key.key_id()) || key.key().size() != kKeySize ||
          key.cluster_id() != invitation.cluster_id())
        return Status(EPROTO, Code::kMalformed,
                      "metaserver " + metaserver + " has given the key of somebody else");
      return Credentials::OfKey(key.key_id(), key.key(), key.cluster_id(), key.cluster_public_key())
          .With(invitation.policy());
    }
    if (given.status.err() == EACCES || given.status.err() == EINVAL) return given.status;
    if (n == 0 || given.status.ToString() != last.ToString())
      KFS_LOG(info, "join.waits metaserver={} reason=\"{}\"", metaserver, given.status.ToString());
    last = given.status;
    if (AskedToStop()) return Status(EINTR, "stopped while it waited to join: " + last.message());
    if (thread.loop().clock().MonoNow() >= until)
      return Status(ETIMEDOUT, fmt::format("no metaserver of {} lets this chunkserver join: {}",
                                           fmt::join(metaservers, " "), last.message()));
    std::this_thread::sleep_for(kJoinPause);  // nobody calls back who may join later; kJoinPatience bounds it
  }
}

}  // namespace

Result<Credentials> OwnCredentials(const Credentials& configured, const ChunkStore& store,
                                   const std::vector<std::string>& metaservers,
                                   const std::vector<std::pair<std::string, std::string>>& labels) {
  if (configured.is_root()) return configured;
  const std::string uuid = store.server_uuid();
  if (IsChunkserverKeyOf(uuid, configured.key_id())) return configured;
  if (!configured.key_id().starts_with("invitation/"))
    return Status(EINVAL,
                  fmt::format("the key {} is not for chunkservers: 'kfs chunkserver invite' makes one",
                              configured.key_id()));
  if (!store.cluster_id().empty() && store.cluster_id() != configured.cluster_id())
    return Status(EINVAL, fmt::format("the invitation {} is to the cluster {}, its disks are of {}",
                                      configured.key_id(), configured.cluster_id(), store.cluster_id()));
  const KeptKey kept = ReadKept(store);
  if (!kept.credentials.empty() && kept.given_for == configured.key_id()) {
    if (IsChunkserverKeyOf(uuid, kept.credentials.key_id()))
      return kept.credentials.With(configured.policy());
    return Status(EINVAL, fmt::format("its disks hold the key of another chunkserver ({}): a new invitation "
                                      "gives it one of its own",
                                      kept.credentials.key_id()));
  }
  pb::JoinClusterRequest request;
  for (const auto& [name, value] : labels) (*request.mutable_label())[name] = value;
  Result<Credentials> given = Join(configured, uuid, metaservers, request);
  if (!given.ok() && given.status().err() != EINTR)
    return Status(given.status().err(), given.status().code(),
                  fmt::format("{}. If the invitation {} is over or used up: 'kfs chunkserver invite' makes "
                              "another",
                              given.status().message(), configured.key_id()));
  if (!given.ok()) return given;
  KFS_RETURN_IF_ERROR(Keep(store, {.credentials = *given, .given_for = configured.key_id()}));
  KFS_LOG(info, "join.done key={} invitation={}", given->key_id(), configured.key_id());
  return given;
}

}  // namespace kfs

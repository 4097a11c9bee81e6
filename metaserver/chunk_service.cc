// The metaserver's ops for chunkservers: register, heartbeat, inventory.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/limits.h"
#include "common/log.h"
#include "common/utf8.h"
#include "common/uuid.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/cluster/key_changes.h"
#include "metaserver/metaserver.h"
#include "metaserver/store/db_view.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/skipped_numbers.h"

namespace kfs::meta {
namespace {

// What an inventory has found is told of until it should have been found again.
constexpr auto kUnknownLasts = std::chrono::hours(24);
constexpr auto kAsksAgain = std::chrono::seconds(30);

}  // namespace

// What of this may go? Only what certainly nothing references: when in doubt, a chunk stays.
namespace {

// Any thread: brings into memory what Inventory looks at, thousands of records that nothing else has read.
void WarmInventory(Db& db, const pb::ReportChunksRequest& request) {
  std::vector<std::string> keys;
  for (const auto& held : request.held()) keys.emplace_back(OwnerKey(ChunkId(held.chunk())));
  db.Warm(keys);
  DbView view(db);
  std::vector<std::string> chunks;
  for (const std::string& key : keys) {
    const std::optional<std::string> value = view.Get(key);
    rec::ChunkOwner owner;
    if (value && owner.ParseFromString(*value))
      chunks.emplace_back(ChunkKey(Ino(owner.ino()), owner.index()));
  }
  db.Warm(chunks);
}

}  // namespace

void MetaServer::Inventory(ServerId server, const pb::ReportChunksRequest& request,
                           pb::ReportChunksReply* reply) {
  VolumeId id(request.volume());
  Volume* volume = executor_->FindVolume(id);
  if (volume == nullptr) {
    // Its number was given out, and it is in no configuration any more: the volume was deleted. (One that
    // this member has never heard of may be of another time, or newer than what it knows, or have been known
    // only to members that were given up.)
    const pb::ClusterConf& conf = member_->conf();
    if (id.v == 0 || id.v > conf.next_volume() || FindVolumeById(conf, id.v) != nullptr ||
        MayBeLost(conf, id.v))
      return;
    for (const auto& held : request.held()) reply->add_garbage(held.chunk());
    return;
  }
  const Chunkserver* reporter = chunkservers_->Find(server);
  const std::string uuid = reporter == nullptr ? "" : reporter->uuid;
  const uint64_t next = volume->store.counters().next_chunk();
  size_t found_again = 0, unknown = 0;
  uint64_t first_unknown = 0;
  std::optional<SkippedNumbers> skipped;
  for (const auto& held : request.held()) {
    missing_->Held(server, id, held.chunk(), held.version());
    const auto is_unknown = [&] {
      if (unknown++ == 0) first_unknown = held.chunk();
    };
    if (held.chunk() >= next) {
      is_unknown();
      continue;
    }
    std::optional<std::string> owner_value = volume->store.db().Get(OwnerKey(ChunkId(held.chunk())));
    if (!volume->store.db().TakeReadError().ok()) return;
    if (!owner_value) {
      if (!skipped) skipped.emplace(volume->store.db());
      if (!volume->store.db().TakeReadError().ok()) return;
      if (skipped->Has(held.chunk())) {
        is_unknown();
      } else {
        reply->add_garbage(held.chunk());
      }
      continue;
    }
    rec::ChunkOwner owner;
    rec::Chunk chunk;
    if (!owner.ParseFromString(*owner_value)) continue;
    std::optional<std::string> value = volume->store.db().Get(ChunkKey(Ino(owner.ino()), owner.index()));
    if (!volume->store.db().TakeReadError().ok()) return;
    if (!value || !chunk.ParseFromString(*value) || chunk.chunk() != held.chunk()) continue;
    bool listed = false, elsewhere = false, its = false;
    for (uint64_t s : chunk.server()) {
      listed = listed || s == server.v;
      its = its || MayHaveBeen(member_->conf(), s, uuid);
      elsewhere = elsewhere || chunkservers_->Find(ServerId(s)) != nullptr;
    }
    if (listed) continue;
    if (elsewhere) {
      reply->add_garbage(held.chunk());  // a replica given up
      continue;
    }
    // Somebody else says so, who never had it: neither believed nor told to delete anything.
    if (!its) continue;
    // Whoever had it has been removed from the cluster, perhaps to come back under another number: this is
    // the only copy.
    const ChunkId id_of(held.chunk());
    const ChunkVersion version(held.version());
    const bool pending = volume->mutations.Pending(id_of);
    const bool same = pending ? version.v <= chunk.version() && volume->mutations.MayMoveTo(id_of, version)
                              : version.v == chunk.version();
    if (!same) continue;
    chunk.clear_server();
    chunk.add_server(server.v);
    const Status found = volume->Change(
        [&](Txn& txn) {
          txn.Put(ChunkKey(Ino(owner.ino()), owner.index()), chunk.SerializeAsString());
          if (pending) txn.OnApply([volume, id_of, server] { volume->mutations.MoveTo(id_of, server); });
          return Status();
        },
        // The next inventory names it again.
        [this] { chunkservers_->WantInventories(); });
    if (found.ok()) ++found_again;
  }
  if (unknown != 0) NoteUnknown(*volume, server, unknown, first_unknown);
  if (found_again == 0) return;
  executor_->Schedule();
  KFS_LOG(warn,
          "inventory.found_again volume={} server={} chunks={} reason=\"their chunkserver had been removed\"",
          id.v, server.v, found_again);
}

// A database that is an older copy shows on every chunkserver that chunks were placed on since. What one
// alone claims may be its own mistake, or its lie.
void MetaServer::NoteUnknown(const Volume& volume, ServerId server, size_t count, uint64_t first) {
  const MonoTime now = clock_.MonoNow();
  for (auto& [id, of] : claims_) std::erase_if(of, [now](const auto& c) { return c.second <= now; });
  std::erase_if(claims_, [](const auto& of) { return of.second.empty(); });
  auto& claims = claims_[volume.id()];
  claims[server] = now + kUnknownLasts;
  const pb::SyncPoint* latest = points_->Latest(volume.id());
  // Somebody has heard how far it was durable, and it has got there.
  const bool vouched =
      latest != nullptr &&
      points_->Check(volume.id(), volume.info.name(), volume.line, volume.store.db().synced_at(), 0).ok();
  const bool alone = claims.size() == 1 && (vouched || chunkservers_->all().size() > 1);
  const Chunkserver* claimant = chunkservers_->Find(server);
  const std::string who =
      fmt::format("chunkserver {} ({})", server.v, claimant == nullptr ? "" : claimant->address);
  std::string what, next;
  if (alone) {
    what = fmt::format(
        "does not know chunks that {} alone claims to hold for it (number {} and others): that chunkserver "
        "has "
        "data of another time, or its metaserver has lost its last second with the power{}. They stay",
        who, first, vouched ? "" : ", or the volume's database is an older copy");
    next =
        "look at that chunkserver: is its data directory the right one, is its key its own? Nothing else "
        "depends on it";
  } else {
    what = fmt::format(
        "does not know chunks that {} holds for it (number {} and others){}: its database {}has "
        "lost its last second with the power. They stay",
        who, first, claims.size() == 1 ? "" : fmt::format(", as {} chunkservers say", claims.size()),
        vouched ? "" : "is an older copy, or ");
    next = vouched
               ? "nothing later is known of it: put no other data directory in its place"
               : "if it is an older copy: stop that metaserver, put the right data directory back, start it";
  }
  KFS_LOG(error,
          "inventory.unknown_chunk volume={} server={} chunks={} first={} next={} claimants={} reason=\"this "
          "metaserver has never given out these numbers: {}\" effect=\"they stay\" remedy=\"{}\"",
          volume.id().v, server.v, count, first, volume.store.counters().next_chunk(), claims.size(), what,
          next);
  alarms_.Raise(
      "inventory.unknown_chunk", fmt::format("volume {}", volume.info.name()),
      {.severity = alone ? pb::ClusterStatusReply::Alarm::WARNING : pb::ClusterStatusReply::Alarm::CRITICAL,
       .what = std::move(what),
       .next = std::move(next)},
      now + kUnknownLasts);
}

template <typename Reply>
void MetaServer::FillMembers(const Chunkserver* server, uint64_t generation, Reply* reply) {
  const pb::ClusterConf& conf = member_->conf();
  reply->set_generation(conf.generation());
  for (const pb::MemberConf& m : conf.member()) reply->add_metaserver(m.address());
  if (server != nullptr && generation < conf.generation())
    *reply->mutable_terms() = TermsOf(conf, server->uuid);
}

// Where the other members know the chunkserver: we may have lost our memory.
void MetaServer::AskMembers(const std::string& chunkserver, TwinCheck::SeenFn seen,
                            std::function<void()> done) {
  auto open = std::make_shared<size_t>(1);  // one of them our own
  auto close = [open, done = std::move(done)] {
    if (--*open == 0) done();
  };
  pb::PeerAskRequest request;
  request.set_chunkserver(chunkserver);
  for (const pb::MemberConf& m : member_->conf().member()) {
    if (m.uuid() == member_->uuid()) continue;
    ++*open;
    AskPeer(
        loop_, m.address(), member_->uuid(), member_->credentials(),
        [seen, close](const PeerAnswer& there) {
          if (there.status.ok() && !there.reply.chunkserver_address().empty())
            seen({there.reply.chunkserver_address(), there.reply.chunkserver_up()});
          close();
        },
        request);
  }
  close();
}

void MetaServer::Register(const IncomingCallPtr& call, const pb::RegisterChunkserverRequest& request) {
  // By the root secret anybody may be anyone.
  if (const std::string key = MountRightsOf(*call->connection()).key; !key.empty()) {
    if (IsInvitation(key))
      return call->Fail(Status(EACCES, "an invitation does not register: it gets a key that does"));
    if (request.uuid() != call->connection()->hello.id())
      return call->Fail(Status(EACCES, "the key is another chunkserver's"));
  }
  HeardPoints(request.synced());
  points_told_->Forget(request.uuid());
  twins_->Admit(request, [this, alive = alive_, call, request](const Status& s) {
    if (!*alive || stopped_ || call->connection()->closed()) return;
    if (!s.ok()) return call->Fail(s);
    Admitted(call, request);
  });
}

void MetaServer::Admitted(const IncomingCallPtr& call, const pb::RegisterChunkserverRequest& request) {
  Result<ServerId> id = chunkservers_->Register(request, call->connection());
  if (id.status().code() == Code::kOlderCopy) NoteOlderCopy(request, id.status());
  if (id.ok()) {
    if (older_copies_.erase(request.uuid()) != 0)
      alarms_.Clear("chunkserver.older_copy", "chunkserver " + request.uuid());
    pb::RegisterChunkserverReply reply;
    reply.set_server_id(id->v);
    reply.set_heartbeat_ms(Chunkservers::kHeartbeatMs);
    reply.set_clock(chunkservers_->clock_id());
    reply.set_clock_ms(chunkservers_->clock_ms());
    FillMembers(chunkservers_->Find(*id), 0, &reply);
    return call->Reply(reply);
  }
  if (id.status().err() != ENOENT) return call->Fail(id.status());
  const auto& options = member_->conf().option();
  if (auto it = options.find("chunkserver-admission"); it != options.end() && it->second == "command") {
    // It asks again every second or two.
    const std::string uuid = Printable(request.uuid(), 64);  // anything, from who has the root secret
    alarms_.Raise("chunkserver.not_accepted",
                  fmt::format("chunkserver {} ({})", uuid, Printable(request.address(), 300)),
                  {.what = "waits to be accepted", .next = "kfs chunkserver add " + uuid},
                  clock_.MonoNow() + kAsksAgain);
    return call->Fail(Status(
        EACCES,
        fmt::format("not accepted yet: an administrator must run 'kfs chunkserver add {}'", request.uuid())));
  }
  Accept(call, request);
}

void MetaServer::NoteOlderCopy(const pb::RegisterChunkserverRequest& request, const Status& why) {
  older_copies_.insert(request.uuid());
  const Chunkserver* known = chunkservers_->FindUuid(request.uuid());
  const std::string address = Printable(request.address(), 300);
  KFS_LOG(error, "chunkserver.older_copy id={} uuid={} address={} reason=\"{}\" effect=\"it is not used\"",
          known == nullptr ? 0 : known->id.v, request.uuid(), address, why.message());
  const size_t end = why.message().find(". Nothing is lost yet: ");
  alarms_.Raise("chunkserver.older_copy", "chunkserver " + request.uuid(),
                {.severity = pb::ClusterStatusReply::Alarm::CRITICAL,
                 .what = fmt::format("({}) is not used: {}", address, why.message().substr(0, end)),
                 .next = end == std::string::npos ? "" : why.message().substr(end + 2)});
}

// One that does not belong to the cluster any more is nobody's trouble.
void MetaServer::ForgetOlderCopies() {
  std::erase_if(older_copies_, [this](const std::string& uuid) {
    if (chunkservers_->FindUuid(uuid) != nullptr) return false;
    alarms_.Clear("chunkserver.older_copy", "chunkserver " + uuid);
    return true;
  });
}

// Every member may be asked at the same moment: all propose, one change is made.
void MetaServer::Accept(const IncomingCallPtr& call, const pb::RegisterChunkserverRequest& request) {
  const Status later(EAGAIN, Code::kTryAgain, "the chunkserver is being accepted: register again");
  pb::CommandContext ctx;
  ctx.set_request_id(NewUuid(loop_.entropy()));
  if (!accepting_.emplace(request.uuid(), Accepting{ctx.request_id(), call->connection().get()}).second)
    return call->Fail(later);
  ctx.set_words("chunkserver add " + request.uuid());
  pb::Change change;
  change.mutable_add_chunkserver()->set_uuid(request.uuid());
  for (const auto& [name, value] : request.label())
    (*change.mutable_add_chunkserver()->mutable_label())[name] = value;
  member_->Change(ctx, std::move(change),
                  [this, alive = alive_, call, request, later](const Status& s, const pb::ConfChangeReply&) {
                    if (!*alive || stopped_) return;
                    accepting_.erase(request.uuid());
                    if (s.ok()) return Register(call, request);
                    // EEXIST: another member was quicker, and we shall hear of it in a moment.
                    call->Fail(s.err() == EINVAL ? s : Status(EAGAIN, Code::kTryAgain, s.message()));
                  });
}

// An admission that is over is not tried any longer: later it might undo a removal. `gone`: may be null.
void MetaServer::EndAccepted(const Connection* gone) {
  for (const auto& [uuid, accepting] : accepting_) {
    bool over = gone != nullptr && accepting.asked_by == gone;
    for (const pb::ChunkserverConf& c : member_->conf().chunkserver()) over = over || c.uuid() == uuid;
    if (!over) continue;
    // Not from within the change by which it was learned.
    loop_.Post([this, alive = alive_, id = accepting.transaction] {
      if (*alive && !stopped_) member_->node().GiveUp(id);
    });
  }
}

void MetaServer::RegisterChunkService() {
  server_->Handle<rpc::RegisterChunkserver>(
      [this](IncomingCallPtr call, const pb::RegisterChunkserverRequest& request) {
        Register(call, request);
      });
  server_->Handle<rpc::Heartbeat>([this](IncomingCallPtr call, const pb::HeartbeatRequest& request) {
    const ServerId server = chunkservers_->OfConnection(call->connection().get());
    if (Status s = chunkservers_->Heartbeat(server, request); !s.ok()) return call->Fail(s);
    missing_->Told(server, request.missing());
    pb::HeartbeatReply reply;
    reply.set_inventory(chunkservers_->TakeInventoryWanted(server));
    reply.set_clock(chunkservers_->clock_id());
    reply.set_clock_ms(chunkservers_->clock_ms());
    FillMembers(chunkservers_->Find(server), request.generation(), &reply);
    TellChunkserver(server, &reply);
    call->Reply(reply);
  });
  server_->Handle<rpc::ReportChunks>([this](IncomingCallPtr call, const pb::ReportChunksRequest& request) {
    ServerId server = chunkservers_->OfConnection(call->connection().get());
    if (!server) return call->Fail(Status(EINVAL, Code::kMalformed, "register first"));
    if (static_cast<size_t>(request.held_size()) > kInventoryBatch) {
      return call->Fail(Status(EINVAL, Code::kMalformed, "inventory message too long"));
    }
    Volume* volume = executor_->FindVolume(VolumeId(request.volume()));
    const auto told = std::make_shared<const pb::ReportChunksRequest>(request);
    const auto answer = [this, alive = alive_, call, told](const Status&) {
      if (!*alive || stopped_) return;
      const ServerId still = chunkservers_->OfConnection(call->connection().get());
      if (!still) return;  // it tells again where it registers
      pb::ReportChunksReply reply;
      Inventory(still, *told, &reply);
      // Nothing is garbage that might not be after a crash.
      executor_->WhenLogged(VolumeId(told->volume()), [call, reply](const Status& s) {
        if (!s.ok()) return call->Fail(s);
        call->Reply(reply);
      });
    };
    if (volume == nullptr) return answer({});
    Db* db = &volume->store.db();
    scans_->Do(
        db,
        [db, told] {
          WarmInventory(*db, *told);
          return Status();
        },
        answer);
  });
}

}  // namespace kfs::meta

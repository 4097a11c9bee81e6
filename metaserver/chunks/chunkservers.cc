#include "metaserver/chunks/chunkservers.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include "common/chunk_token.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/utf8.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/records.pb.h"
#include "rpc/address.h"
#include "rpc/connection.h"

namespace kfs::meta {
namespace {

// Set by an administrator (kfs chunkserver cordon), whatever its value: nothing new is placed there.
constexpr char kCordonedLabel[] = "cordoned";
constexpr int kPlainShownMax = 16;
constexpr size_t kPlainHostMax = 100;

Status NotConnected() { return Status(EIO, Code::kConnectionLost, "the chunkserver is not connected"); }

class ConnectionLinks final : public ChunkserverLinks {
 public:
  bool IsUp(const Chunkserver& server) const override { return server.up && server.connection != nullptr; }
  void Request(const Chunkserver& server, Op op, const google::protobuf::MessageLite& request,
               Done done) override {
    if (server.connection == nullptr || server.connection->closed()) return done(NotConnected(), "");
    server.connection->Call(op, request, {}, [done = std::move(done)](Answer answer) {
      done(answer.status, std::move(answer.body));
    });
  }
};

}  // namespace

std::unique_ptr<ChunkserverLinks> LinksByConnection() { return std::make_unique<ConnectionLinks>(); }

void Chunkserver::SetDisks(const google::protobuf::RepeatedPtrField<pb::DiskStatus>& now) {
  disks.assign(now.begin(), now.end());
  // What it says of itself is added up, and chunks are placed by it.
  constexpr uint64_t kDiskMax = uint64_t{1} << 56;
  for (pb::DiskStatus& d : disks) {
    if (d.capacity() > kDiskMax) d.set_capacity(0);
    d.set_available(std::min<uint64_t>(d.available(), d.capacity()));
  }
  space = {};
  for (const auto& d : disks) space.Add(d);
}
uint64_t Chunkserver::chunks() const {
  uint64_t sum = 0;
  for (const auto& d : disks) sum += d.chunks();
  return sum;
}
std::string Chunkserver::error() const {
  for (const auto& d : disks) {
    if (!d.error().empty()) return d.path() + ": " + d.error();
  }
  return "";
}

std::string Chunkserver::host() const {
  auto it = label.find("host");
  return it != label.end() ? it->second : HostOf(address);
}

Chunkservers::Chunkservers(Db& cluster, Clock& clock, Entropy& entropy,
                           std::unique_ptr<ChunkserverLinks> links)
    : cluster_(cluster),
      sync_(cluster),
      clock_(clock),
      links_(std::move(links)),
      clock_id_(entropy.Next() | 1) {}

Status Chunkservers::Load() {
  cluster_.Scan("H", "", [&](std::string_view, std::string_view value) {
    rec::Chunkserver record;
    if (record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      Chunkserver& s = servers_[ServerId(record.id())];
      s.id = ServerId(record.id());
      s.uuid = record.uuid();
      s.address = record.address();
      s.key_id = record.key_id();
      s.ages.Load(record);
    }
    return true;
  });
  return cluster_.TakeReadError();
}

void Chunkservers::Configure(const pb::ClusterConf& conf) {
  std::set<ServerId> known;
  for (const pb::ChunkserverConf& c : conf.chunkserver()) {
    Chunkserver& s = servers_[ServerId(c.id())];
    known.insert(ServerId(c.id()));
    s.id = ServerId(c.id());
    s.uuid = c.uuid();
    s.label = {c.label().begin(), c.label().end()};
    SetKey(&s, s.key_id, c.invitation());
  }
  for (auto it = servers_.begin(); it != servers_.end();) {
    if (known.contains(it->first)) {
      ++it;
      continue;
    }
    KFS_LOG(info, "chunkserver.removed id={} uuid={}", it->first.v, it->second.uuid);
    std::shared_ptr<Connection> connection = std::move(it->second.connection);
    cluster_.Delete(ChunkserverKey(it->first));
    it = servers_.erase(it);
    if (connection != nullptr)
      connection->CloseAfterFlush(
          Status(EPIPE, Code::kConnectionLost, "the chunkserver was removed from the cluster"));
  }
  if (cluster_.dirty()) cluster_.Commit();
}

void Chunkservers::Register(const pb::RegisterChunkserverRequest& request,
                            std::shared_ptr<Connection> connection, Registered done) {
  ServerId id;
  const Result<bool> is_new = Note(request, connection.get(), &id);
  if (!is_new.ok()) return done(is_new.status());
  if (!*is_new && sync_.idle()) return done(LetIn(id, request, std::move(connection)));
  sync_.Sync([this, id, request, connection = std::move(connection), done = std::move(done)] {
    done(LetIn(id, request, connection));
  });
}

Result<bool> Chunkservers::Note(const pb::RegisterChunkserverRequest& request, const Connection* connection,
                                ServerId* id) {
  if (request.uuid().empty() || request.uuid().size() > 64 || request.address().empty() ||
      request.address().size() > 300) {
    return Status(EINVAL, Code::kMalformed, "a chunkserver registers with its uuid and address");
  }
  // It is stored and handed to every client.
  std::string host;
  uint16_t port = 0;
  if (!request.address().starts_with("unix:"))
    KFS_RETURN_IF_ERROR(SplitAddress(request.address(), 0, &host, &port));
  Chunkserver* server = nullptr;
  for (auto& [its, s] : servers_) {
    if (s.uuid == request.uuid()) server = &s;
  }
  if (server == nullptr) return Status(ENOENT, "the chunkserver does not belong to the cluster (yet)");
  KFS_RETURN_IF_ERROR(server->ages.Check(request.disk()));
  const bool older_now = server->ages.Note(request.disk());
  *id = server->id;
  server->instance = request.instance();
  std::string key_id = connection == nullptr ? "" : connection->hello.key_id();
  if (key_id.empty()) key_id = kRootKeyId;
  const bool another_address = server->address != request.address();
  if (!another_address && !older_now && server->key_id == key_id) return false;
  if (another_address) server->unreached.clear();
  server->address = request.address();
  server->key_id = key_id;
  Store(*server);
  return true;
}

Result<ServerId> Chunkservers::LetIn(ServerId id, const pb::RegisterChunkserverRequest& request,
                                     std::shared_ptr<Connection> connection) {
  // While its record was being written.
  auto it = servers_.find(id);
  if (it == servers_.end()) return Status(ENOENT, "the chunkserver was removed from the cluster");
  if (connection != nullptr && connection->closed()) return NotConnected();
  Chunkserver* server = &it->second;
  SetKey(server, server->key_id, "");
  server->SetDisks(request.disk());
  server->last_heard = clock_.MonoNow();
  server->last_seen_wall = clock_.WallNow();
  server->up = true;
  std::shared_ptr<Connection> old = std::move(server->connection);
  server->connection = std::move(connection);
  if (old != nullptr && old != server->connection) {
    old->Close(Status(EPIPE, Code::kConnectionLost, "the chunkserver has connected anew"));
  }
  KFS_LOG(info, "chunkserver.up id={} uuid={} address={} capacity={} available={}", server->id.v,
          server->uuid, server->address, server->capacity(), server->available());
  if (on_up_) on_up_(id);
  return id;
}

void Chunkservers::Store(const Chunkserver& server) {
  rec::Chunkserver record;
  record.set_id(server.id.v);
  record.set_uuid(server.uuid);
  record.set_address(server.address);
  record.set_key_id(server.key_id);
  server.ages.Store(&record);
  cluster_.Put(ChunkserverKey(server.id), record.SerializeAsString());
  cluster_.Commit();
}

// One that has shown nothing yet, and was not invited, has the root secret: the older one while there are
// two, since it was told of no other.
void Chunkservers::SetKey(Chunkserver* server, const std::string& key_id, std::string_view invitation) {
  if (root_.empty()) {
    server->own_key = server->own_key || !invitation.empty() || key_id.starts_with("chunkserver/");
    return;
  }
  const bool older = key_id.empty() && root_.older() != nullptr;
  uint32_t generation = older ? root_.older()->generation() : root_.generation();
  if (!key_id.empty()) generation = KeyGeneration(key_id);
  server->own_key = key_id.starts_with("chunkserver/") || generation != root_.generation();
  if (const uint32_t its = KeyGeneration(invitation); its != 0 && (key_id.empty() || its >= generation)) {
    generation = its;
    server->own_key = true;
  }
  server->key_generation = generation;
  const std::string signed_under = std::move(server->token_key);
  server->token_key = root_.Derived(ChunkserverKeyId(server->uuid, generation)).key();
  if (!signed_under.empty() && signed_under != server->token_key && on_key_changed_)
    on_key_changed_(server->id);
}

Status Chunkservers::Heartbeat(ServerId id, const pb::HeartbeatRequest& request) {
  auto it = servers_.find(id);
  if (it == servers_.end()) return Status(EINVAL, Code::kMalformed, "register first");
  Chunkserver& s = it->second;
  s.SetDisks(request.disk());
  if (s.ages.Note(request.disk()))
    Store(s);  // power may take the last second of it: it is a little late then
  s.rss_bytes = request.rss_bytes();
  s.plain_links = request.plain_links();
  s.plain_from.clear();
  for (int i = 0; i < std::min(request.plain_from_size(), kPlainShownMax); ++i)
    s.plain_from.push_back(Printable(request.plain_from(i), kPlainHostMax));
  s.promised /= 2;
  s.last_heard = clock_.MonoNow();
  s.last_seen_wall = clock_.WallNow();
  if (!s.up) {
    s.up = true;
    KFS_LOG(info, "chunkserver.up id={} address={} reason=heartbeat", s.id.v, s.address);
    if (on_up_) on_up_(id);
  }
  return {};
}

void Chunkservers::SetUnreached(ServerId server, const std::string& why) {
  if (auto it = servers_.find(server); it != servers_.end()) it->second.unreached = why;
}

void Chunkservers::Disconnected(const Connection* connection) {
  for (auto& [id, s] : servers_) {
    if (s.connection.get() != connection) continue;
    s.connection.reset();
    s.up = false;
    KFS_LOG(warn, "chunkserver.down id={} address={} reason=\"connection lost\"", s.id.v, s.address);
  }
}

void Chunkservers::CheckSilence() {
  auto limit = std::chrono::milliseconds(kHeartbeatMs * kHeartbeatsMissed);
  for (auto& [id, s] : servers_) {
    if (s.up && clock_.MonoNow() - s.last_heard > limit) {
      s.up = false;
      KFS_LOG(warn, "chunkserver.down id={} address={} reason=\"{} heartbeats missed\"", s.id.v, s.address,
              kHeartbeatsMissed);
    }
  }
}

void Chunkservers::Request(ServerId server, Op op, const google::protobuf::MessageLite& request,
                           ChunkserverLinks::Done done) {
  auto it = servers_.find(server);
  if (it == servers_.end()) return done(NotConnected(), "");
  links_->Request(it->second, op, request, std::move(done));
}

SpaceSum Chunkservers::Space() const {
  SpaceSum sum;
  for (const auto& [id, s] : servers_) {
    if (!s.up) continue;
    for (const auto& d : s.disks) sum.Add(d);
  }
  return sum;
}

bool Chunkservers::IsUp(ServerId server) const {
  auto it = servers_.find(server);
  return it != servers_.end() && links_->IsUp(it->second);
}

const Chunkserver* Chunkservers::Find(ServerId server) const {
  auto it = servers_.find(server);
  return it == servers_.end() ? nullptr : &it->second;
}

const std::string& Chunkservers::TokenKey(ServerId server) const {
  static const std::string none;
  const Chunkserver* found = Find(server);
  return found == nullptr ? none : found->token_key;
}

bool Chunkservers::HasOwnKey(ServerId server) const {
  const Chunkserver* found = Find(server);
  return found != nullptr && found->own_key;
}

Credentials Chunkservers::ToMeet(const std::string& uuid, const Credentials& root) const {
  const Chunkserver* found = FindUuid(uuid);
  if (found == nullptr || !found->own_key) return root.WithoutOlder();
  return root.Derived(ChunkserverKeyId(uuid, found->key_generation));
}

const Chunkserver* Chunkservers::FindUuid(const std::string& uuid) const {
  for (const auto& [id, s] : servers_) {
    if (s.uuid == uuid) return &s;
  }
  return nullptr;
}

ServerId Chunkservers::OfConnection(const Connection* connection) const {
  for (const auto& [id, s] : servers_) {
    if (s.connection.get() == connection) return id;
  }
  return {};
}

void Chunkservers::PauseUse(ServerId server) {
  constexpr auto kPause = std::chrono::seconds(10);  // a change is decided or refused by then
  if (auto it = servers_.find(server); it != servers_.end())
    it->second.not_before = clock_.MonoNow() + kPause;
}

bool Chunkservers::PlacedLately(const Chunkserver& server) const {
  return server.last_placed != MonoTime() &&
         clock_.MonoNow() - server.last_placed < std::chrono::milliseconds(3 * kHeartbeatMs);
}

void Chunkservers::WantInventories() {
  for (auto& [id, s] : servers_) s.inventory_wanted = true;
}

bool Chunkservers::TakeInventoryWanted(ServerId server) {
  auto it = servers_.find(server);
  return it != servers_.end() && std::exchange(it->second.inventory_wanted, false);
}

void Chunkservers::Placed(ServerId server, uint64_t chunk_size) {
  auto it = servers_.find(server);
  if (it == servers_.end()) return;
  it->second.last_placed = clock_.MonoNow();
  it->second.promised = std::min(it->second.promised + chunk_size, it->second.capacity());
}

std::vector<Candidate> Chunkservers::Candidates() const {
  std::vector<Candidate> out;
  const MonoTime now = clock_.MonoNow();
  for (const auto& [id, s] : servers_) {
    if (s.label.contains(kCordonedLabel)) continue;
    if (now >= s.not_before) out.push_back({id, s.available(), s.capacity(), s.host(), s.up, s.promised});
  }
  return out;
}

}  // namespace kfs::meta

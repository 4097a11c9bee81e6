#include "metaserver/service/inventory.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/limits.h"
#include "common/log.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/store/db_view.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/skipped_numbers.h"

namespace kfs::meta {
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

void Inventory::Answer(const IncomingCallPtr& call, const pb::ReportChunksRequest& request) {
  auto reporter = [this, call] { return chunkservers_.OfConnection(call->connection().get()); };
  if (!reporter()) return call->Fail(Status(EINVAL, Code::kMalformed, "register first"));
  Answer(reporter, request, [call](const Status& s, const pb::ReportChunksReply& reply) {
    s.ok() ? call->Reply(reply) : call->Fail(s);
  });
}

void Inventory::Answer(std::function<ServerId()> reporter, const pb::ReportChunksRequest& request,
                       Answered answered) {
  if (static_cast<size_t>(request.held_size()) > kInventoryBatch)
    return answered(Status(EINVAL, Code::kMalformed, "inventory message too long"), {});
  Volume* volume = executor_.FindVolume(VolumeId(request.volume()));
  const auto told = std::make_shared<const pb::ReportChunksRequest>(request);
  auto answer = lifetime_.While(
      [this, reporter = std::move(reporter), told, answered = std::move(answered)](const Status&) {
        const ServerId still = reporter();
        if (!still) return;  // it tells again where it registers
        pb::ReportChunksReply reply;
        Compare(still, *told, &reply);
        const VolumeId of(told->volume());
        auto tell = [answered, reply](const Status& s) { answered(s, reply); };
        // Nothing is garbage that might not be after a loss of power.
        if (reply.garbage_size() != 0 && executor_.FindVolume(of) != nullptr)
          return executor_.AfterSync(of, std::move(tell));
        executor_.WhenLogged(of, std::move(tell));
      });
  if (volume == nullptr) return answer(Status());
  Db* db = &volume->store.db();
  scans_.Do(
      db,
      [db, told] {
        WarmInventory(*db, *told);
        return Status();
      },
      answer);
}

void Inventory::Compare(ServerId server, const pb::ReportChunksRequest& request,
                        pb::ReportChunksReply* reply) {
  VolumeId id(request.volume());
  Volume* volume = executor_.FindVolume(id);
  if (volume == nullptr) {
    // Its number was given out, and it is in no configuration any more: the volume was deleted. (One that
    // this member has never heard of may be of another time, or newer than what it knows, or have been known
    // only to members that were given up.)
    const pb::ClusterConf& conf = conf_();
    if (id.v == 0 || id.v > conf.next_volume() || FindVolumeById(conf, id.v) != nullptr ||
        MayBeLost(conf, id.v))
      return;
    for (const auto& held : request.held()) reply->add_garbage(held.chunk());
    return;
  }
  const Chunkserver* reporter = chunkservers_.Find(server);
  const std::string uuid = reporter == nullptr ? "" : reporter->uuid;
  const uint64_t next = volume->store.counters().next_chunk();
  size_t found_again = 0, unknown = 0;
  uint64_t first_unknown = 0;
  std::optional<SkippedNumbers> skipped;
  for (const auto& held : request.held()) {
    missing_.Held(server, id, held.chunk(), held.version());
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
      its = its || MayHaveBeen(conf_(), s, uuid);
      elsewhere = elsewhere || chunkservers_.Find(ServerId(s)) != nullptr;
    }
    if (listed) continue;
    if (elsewhere) {
      reply->add_garbage(held.chunk());  // a replica given up
      continue;
    }
    // Somebody else says so, who never had it: neither believed nor told to delete anything.
    if (!its) continue;
    if (TakeBack(*volume, server, held, owner, std::move(chunk))) ++found_again;
  }
  if (unknown != 0) NoteUnknown(*volume, server, unknown, first_unknown);
  if (found_again == 0) return;
  executor_.Schedule();
  KFS_LOG(warn,
          "inventory.found_again volume={} server={} chunks={} reason=\"their chunkserver had been removed\"",
          id.v, server.v, found_again);
}

// Whoever had it has been removed from the cluster, perhaps to come back under another number: this is the
// only copy.
bool Inventory::TakeBack(Volume& volume, ServerId server, const pb::ReportChunksRequest::Held& held,
                         const rec::ChunkOwner& owner, rec::Chunk chunk) {
  const ChunkId id(held.chunk());
  const ChunkVersion version(held.version());
  const bool pending = volume.mutations.Pending(id);
  // A later version than the record's is one that we have lost with the power: who uses the chunk will hear
  // of it, and the record goes beyond it (ReadLayoutRequest.ahead_version).
  const bool its = pending ? version.v <= chunk.version() && volume.mutations.MayMoveTo(id, version)
                           : version.v >= chunk.version();
  if (!its) return false;
  chunk.clear_server();
  chunk.add_server(server.v);
  const Status found = volume.Change(
      [&](Txn& txn) {
        txn.Put(ChunkKey(Ino(owner.ino()), owner.index()), chunk.SerializeAsString());
        if (pending) txn.OnApply([&volume, id, server] { volume.mutations.MoveTo(id, server); });
        return Status();
      },
      // The next inventory names it again.
      [this] { chunkservers_.WantInventories(); });
  return found.ok();
}

// A database that is an older copy shows on every chunkserver that chunks were placed on since. What one
// alone claims may be its own mistake, or its lie.
void Inventory::NoteUnknown(const Volume& volume, ServerId server, size_t count, uint64_t first) {
  const MonoTime now = clock_.MonoNow();
  for (auto& [id, of] : claims_) std::erase_if(of, [now](const auto& c) { return c.second <= now; });
  std::erase_if(claims_, [](const auto& of) { return of.second.empty(); });
  auto& claims = claims_[volume.id()];
  claims[server] = now + kUnknownLasts;
  const pb::SyncPoint* latest = points_.Latest(volume.id());
  // Somebody has heard how far it was durable, and it has got there.
  const bool vouched =
      latest != nullptr &&
      points_.Check(volume.id(), volume.info.name(), volume.line, volume.store.db().synced_at(), 0).ok();
  const bool alone = claims.size() == 1 && (vouched || chunkservers_.all().size() > 1);
  const Chunkserver* claimant = chunkservers_.Find(server);
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

}  // namespace kfs::meta

#include "metaserver/volume_host.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "common/log.h"
#include "metaserver/cluster/conf_options.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

// A restored volume goes on beyond all numbers that it has given out before. Its present database may be
// damaged or gone, and the same backup may have been restored before: so the numbers rise with the
// generation, too, which is another one for each restore. (A session's number has 40 bits, the others 64.)
constexpr uint64_t kRestoreSkip = uint64_t{1} << 28;
constexpr uint64_t kRestoreSkipSessions = uint64_t{1} << 20;

std::string ToRestore(const pb::VolumeConf& v) {
  return fmt::format(
      "restore a backup of it (kfs volume stop {0}; kfs volume restore {0} FILE; kfs volume start {0})",
      v.name());
}

Status HandedOver(const pb::VolumeConf& v) {
  return Status(
      EAGAIN, Code::kTryAgain,
      fmt::format("volume \"{}\" was being handed to another metaserver: whether it was is not known "
                  "until a majority of the metaservers is there",
                  v.name()));
}

// A read error is left in the database.
uint64_t LineOf(Db& db) {
  rec::VolumeStamp stamp;
  const std::optional<std::string> stored = db.Get(StampKey());
  return stored && stamp.ParseFromString(*stored) ? stamp.line() : 0;
}

rec::Volume InfoOf(const pb::VolumeConf& v) {
  rec::Volume info;
  info.set_id(v.id());
  info.set_name(v.name());
  info.set_chunk_size(v.chunk_size());
  info.set_replicas(v.replicas());
  info.set_created(v.created());
  return info;
}

// The value in force; none when it is not set.
std::optional<int64_t> Get(const pb::VolumeConf& v, std::string_view name) {
  auto it = v.option().find(std::string(name));
  if (it == v.option().end()) return {};
  return ConfValue(*FindConfOption(ConfOption::Of::kVolume, name), it->second);
}

void SetOptions(const pb::VolumeConf& v, const ExecutorOptions& standard, Volume* volume) {
  Volume::Settings& s = volume->settings;
  s.atime = Get(v, "atime").value_or(0) == 0;
  s.read_only = Get(v, "read-only").value_or(0) != 0;
  const auto keep = Get(v, "session-keep"), slow = Get(v, "slow-op-ms");
  s.session_keep = keep ? std::chrono::seconds(*keep) : standard.session_keep;
  s.slow_op = slow ? std::chrono::milliseconds(*slow) : standard.slow_op;
}

}  // namespace

VolumeHost::VolumeHost(Options options, ClusterStore& cluster, DbMemory& memory, Executor& executor,
                       Chunkservers& chunkservers, Clock& clock, ImageStore& images, const SyncPoints& points)
    : options_(std::move(options)),
      cluster_(cluster),
      memory_(memory),
      executor_(executor),
      chunkservers_(chunkservers),
      clock_(clock),
      images_(images),
      points_(points) {}

std::string VolumeHost::Path(VolumeId id) const {
  return fmt::format("{}/volumes/{}", options_.data_dir, id.v);
}

Status VolumeHost::Apply(const pb::ClusterConf& conf, const std::string& self, uint64_t incarnation) {
  std::map<VolumeId, const pb::VolumeConf*> there;
  for (const pb::VolumeConf& v : conf.volume()) there[VolumeId(v.id())] = &v;
  std::vector<VolumeId> open;
  for (const auto& [id, volume] : executor_.volumes()) open.push_back(id);
  for (VolumeId id : open) {
    auto it = there.find(id);
    if (it == there.end()) {
      executor_.RemoveVolume(id);
    } else if (it->second->owner() != self || !it->second->started()) {
      executor_.CloseVolume(id, Where(conf, self, it->second->name()));
      KFS_LOG(info, "volume.closed name={} id={} started={} owner={}", it->second->name(), id.v,
              it->second->started(), NameOf(conf, it->second->owner()));
    }
  }
  Status first;
  for (const auto& [id, info] : std::map<VolumeId, rec::Volume>(cluster_.volumes())) {
    if (auto it = there.find(id); it != there.end()) {
      // What was handed over has its owner elsewhere now: decided, so that the copy there is the volume.
      const bool gone = it->second->owner() != self && !info.handed().empty() &&
                        it->second->epoch() > info.handed_epoch() && !held_.contains(id);
      if (!gone) continue;
    }
    // Who was given up keeps what perhaps nobody else has heard of.
    if (FindMember(conf, self) == nullptr) continue;
    if (Status s = Delete(id); !s.ok()) {
      KFS_LOG(error, "volume.delete_failed id={} reason=\"{}\"", id.v, s.ToString());
      if (first.ok()) first = s;
    }
  }
  const std::map<VolumeId, Status> before = std::exchange(trouble_, {});
  for (const auto& [id, v] : there) {
    if (v->owner() != self || !v->started()) damaged_.erase(id);
    if (v->owner() != self || !v->started() || held_.contains(id)) continue;
    if (auto damaged = damaged_.find(id); damaged != damaged_.end()) {
      trouble_[id] = damaged->second;
      continue;
    }
    if (IsSealed(*v)) {
      trouble_[id] = HandedOver(*v);
      continue;
    }
    if (executor_.FindVolume(id) == nullptr) {
      if (Status s = Open(conf, *v, incarnation); !s.ok()) {
        // Once, not with each change of the configuration.
        if (auto known = before.find(id); known == before.end() || known->second.message() != s.message())
          KFS_LOG(error, "{} name={} id={} reason=\"{}\"",
                  s.code() == Code::kTryAgain ? "volume.older_copy" : "volume.open_failed", v->name(), id.v,
                  s.ToString());
        trouble_[id] = s;
        if (s.code() == Code::kCorrupt || s.code() == Code::kTryAgain) {
          damaged_[id] = s;
        } else if (first.ok()) {
          first = s;
        }
        continue;
      }
    }
    SetOptions(*v, executor_.options(), executor_.FindVolume(id));
  }
  executor_.SetGeneration(conf.generation());
  return first;
}

Result<std::unique_ptr<Db>> VolumeHost::OpenStamped(const pb::ClusterConf& conf, const pb::VolumeConf& v,
                                                    uint64_t incarnation) {
  const VolumeId id(v.id());
  const std::string path = Path(id);
  std::error_code ec;
  KFS_RETURN_IF_ERROR(TakeCopy(conf, v));
  const bool known = cluster_.volumes().contains(id);  // it was whole once
  const bool present = std::filesystem::exists(path, ec);
  rec::VolumeStamp stamp;
  if (known || present) {
    if (!present) {
      return Status(
          EIO,
          fmt::format(
              "the data of volume \"{}\" is not in {}: put it back there, stop and start the volume; or {}",
              v.name(), path, ToRestore(v)));
    }
    Result<std::unique_ptr<Db>> db = Db::Open(path, "volume", memory_);
    if (!db.ok()) return db;
    const std::optional<std::string> stored = (*db)->Get(StampKey());
    KFS_RETURN_IF_ERROR((*db)->TakeReadError());
    if (stored && stamp.ParseFromString(*stored) && stamp.cluster_id() == conf.cluster_id() &&
        stamp.volume() == v.id()) {
      if (stamp.epoch() == v.epoch()) return db;
      // A copy that was sent here, or what was kept when a move was called off: no other metaserver can have
      // changed the volume since.
      if (stamp.epoch() == v.from_epoch()) {
        stamp.set_epoch(v.epoch());
        (*db)->Put(StampKey(), stamp.SerializeAsString());
        (*db)->Commit();
        KFS_RETURN_IF_ERROR((*db)->Sync());
        return db;
      }
    }
    // A start that was interrupted in the middle of making it.
    const bool half_made = !stored && !known && v.owner_incarnation() == incarnation;
    if (!half_made) {
      return Status(
          EIO,
          fmt::format("{} holds another volume, or volume \"{}\" of another time: put the right data there, "
                      "stop and start the volume; or {}",
                      path, v.name(), ToRestore(v)));
    }
    db->reset();
    KFS_RETURN_IF_ERROR(Db::Destroy(path));
  }
  if (v.owner_incarnation() != incarnation) {
    return Status(EIO, fmt::format("volume \"{}\" was lost with its metaserver's disk: {}, or delete it",
                                   v.name(), ToRestore(v)));
  }
  Result<std::unique_ptr<Db>> db = Db::Open(path, "volume", memory_);
  if (!db.ok()) return db;
  stamp.set_cluster_id(conf.cluster_id());
  stamp.set_volume(v.id());
  stamp.set_epoch(v.epoch());
  stamp.set_line(points_.NextLine(id, 0, v.epoch()));
  (*db)->Put(StampKey(), stamp.SerializeAsString());
  (*db)->Commit();
  KFS_RETURN_IF_ERROR((*db)->Sync());
  return db;
}

Result<std::unique_ptr<Db>> VolumeHost::OpenKnown(const pb::ClusterConf& conf, const pb::VolumeConf& v,
                                                  uint64_t incarnation) {
  Result<std::unique_ptr<Db>> db = OpenStamped(conf, v, incarnation);
  if (!db.ok()) return db;
  auto known = cluster_.volumes().find(VolumeId(v.id()));
  if (known == cluster_.volumes().end() || !known->second.handed().empty())
    KFS_RETURN_IF_ERROR(cluster_.PutVolume(InfoOf(v)));
  return db;
}

Status VolumeHost::Open(const pb::ClusterConf& conf, const pb::VolumeConf& v, uint64_t incarnation) {
  Result<std::unique_ptr<Db>> db = OpenKnown(conf, v, incarnation);
  if (!db.ok()) return db.status();
  const uint64_t line = LineOf(**db);
  KFS_RETURN_IF_ERROR(points_.Check(VolumeId(v.id()), v.name(), line, (*db)->opened_at(), 0));
  Result<std::unique_ptr<Volume>> volume = Volume::Open(InfoOf(v), std::move(*db), options_.cache_bytes,
                                                        chunkservers_, clock_, executor_.HooksForVolume());
  if (!volume.ok()) return volume.status();
  (*volume)->line = line;
  if (v.restored()) {
    (*volume)->Restored();
    chunkservers_.WantInventories();
  }
  KFS_LOG(info, "volume.opened name={} id={} inodes={} sessions={}", v.name(), v.id(),
          (*volume)->store.counters().inodes(), (*volume)->sessions.size());
  executor_.AddVolume(std::move(*volume));
  return {};
}

void VolumeHost::RaiseTo(const std::string& database, rec::VolumeCounters* counters, uint64_t* line) const {
  std::error_code ec;
  if (!std::filesystem::exists(database, ec)) return;
  Result<std::unique_ptr<Db>> db = Db::Open(database, "volume", memory_);
  if (!db.ok()) return;
  *line = std::max(*line, LineOf(**db));
  rec::VolumeCounters theirs;
  const std::optional<std::string> stored = (*db)->Get(CountersKey());
  if (!stored || !theirs.ParseFromString(*stored)) return;
  counters->set_next_ino(std::max(counters->next_ino(), theirs.next_ino()));
  counters->set_next_chunk(std::max(counters->next_chunk(), theirs.next_chunk()));
  counters->set_next_session(std::max(counters->next_session(), theirs.next_session()));
}

Status VolumeHost::PrepareRestored(const std::string& path, const pb::ClusterConf& conf,
                                   const pb::VolumeConf& v) {
  Result<std::unique_ptr<Db>> opened = Db::Open(path, "volume", memory_);
  if (!opened.ok()) return opened.status();
  Db& db = **opened;
  rec::VolumeCounters counters;
  const std::optional<std::string> stored = db.Get(CountersKey());
  KFS_RETURN_IF_ERROR(db.TakeReadError());
  if (!stored || !counters.ParseFromString(*stored))
    return Status(EIO, Code::kCorrupt, "the backup is not one of a volume");
  // What was made since the backup must not be taken for what is made from now on: files, chunks and
  // sessions.
  const std::string present = Path(VolumeId(v.id()));
  uint64_t line = LineOf(db);
  for (const std::string& database : {present, present + ".replaced"}) RaiseTo(database, &counters, &line);
  counters.set_next_ino(std::max(counters.next_ino() + kRestoreSkip, v.epoch() << 28));
  counters.set_next_chunk(std::max(counters.next_chunk() + kRestoreSkip, v.epoch() << 32));
  counters.set_next_session(std::max(counters.next_session() + kRestoreSkipSessions, v.epoch() << 20));
  db.Put(CountersKey(), counters.SerializeAsString());
  // Mounts have gone on since: sessions, their answers, and what was on its way to chunkservers then. However
  // many there are: deleted one by one, 100 000 sessions with an answer each took the loop a second.
  for (const char* prefix : {"S", "A", "M", "G"}) db.DeleteAll(prefix);
  rec::VolumeStamp stamp;
  stamp.set_cluster_id(conf.cluster_id());
  stamp.set_volume(v.id());
  stamp.set_epoch(v.epoch());
  stamp.set_line(points_.NextLine(VolumeId(v.id()), line, v.epoch()));
  db.Put(StampKey(), stamp.SerializeAsString());
  db.Commit();
  KFS_RETURN_IF_ERROR(db.TakeReadError());
  return db.Sync();
}

Status VolumeHost::TakeCopy(const pb::ClusterConf& conf, const pb::VolumeConf& v) {
  if (v.transfer().empty()) return {};
  const pb::ImageManifest* copy = images_.Find(v.transfer());
  if (copy == nullptr) return {};
  if (copy->cluster_id() != conf.cluster_id() || copy->volume() != v.id() ||
      (!v.restored() && copy->epoch() != v.from_epoch()))
    return Status(EIO, fmt::format("the copy {} is not of volume \"{}\"", v.transfer(), v.name()));
  const std::string path = Path(VolumeId(v.id()));
  if (v.restored()) KFS_RETURN_IF_ERROR(PrepareRestored(images_.Path(v.transfer()), conf, v));
  // What was there before: kept beside it after a restore, until the next; else left from an earlier time.
  std::error_code ec;
  const std::string before = path + ".replaced";
  if (std::filesystem::exists(path, ec)) {
    std::filesystem::remove_all(before, ec);
    if (v.restored()) {
      std::filesystem::rename(path, before, ec);
    } else {
      KFS_RETURN_IF_ERROR(Db::Destroy(path));
      std::filesystem::remove_all(path, ec);
    }
  }
  return images_.Take(v.transfer(), path);
}

void VolumeHost::CloseDamaged(VolumeId id) {
  const Db* db = OpenDb(id);
  if (db == nullptr || db->damage().ok()) return;
  const Status why = db->damage();
  KFS_LOG(error, "volume.damaged name={} id={} reason=\"{}\" effect=\"it is not served any more\"",
          executor_.FindVolume(id)->info.name(), id.v, why.message());
  trouble_[id] = damaged_[id] = why;
  executor_.CloseVolume(id, why);
}

void VolumeHost::CloseOlder(VolumeId id) {
  const Volume* v = executor_.FindVolume(id);
  if (v == nullptr) return;
  const Status why = points_.Check(id, v->info.name(), v->line, v->store.db().opened_at(), v->incarnation());
  if (why.ok()) return;
  KFS_LOG(error, "volume.older_copy name={} id={} reason=\"{}\" effect=\"it is not served any more\"",
          v->info.name(), id.v, why.message());
  trouble_[id] = damaged_[id] = why;
  executor_.CloseVolume(id, why);
}

Db* VolumeHost::OpenDb(VolumeId id) const {
  Volume* v = executor_.FindVolume(id);
  return v == nullptr ? nullptr : &v->store.db();
}

void VolumeHost::Hold(VolumeId id, const Status& why) {
  held_[id] = why;
  executor_.CloseVolume(id, why);
}

Result<std::unique_ptr<Db>> VolumeHost::HoldStopped(const pb::ClusterConf& conf, const pb::VolumeConf& v,
                                                    uint64_t incarnation, const Status& why) {
  const VolumeId id(v.id());
  if (held_.contains(id))
    return Status(EBUSY, fmt::format("volume \"{}\" is being copied already: try again later", v.name()));
  if (IsSealed(v)) return HandedOver(v);
  Result<std::unique_ptr<Db>> db = OpenKnown(conf, v, incarnation);
  if (db.ok()) held_[id] = why;
  return db;
}

Status VolumeHost::Seal(VolumeId id, const std::string& transfer, uint64_t epoch) {
  auto it = cluster_.volumes().find(id);
  if (it == cluster_.volumes().end()) return Status(EIO, "the volume is not here");
  rec::Volume info = it->second;
  info.set_handed(transfer);
  info.set_handed_epoch(epoch);
  return cluster_.PutVolume(info);
}

Status VolumeHost::Unseal(VolumeId id) {
  auto it = cluster_.volumes().find(id);
  if (it == cluster_.volumes().end()) return {};
  rec::Volume info = it->second;
  info.clear_handed();
  info.clear_handed_epoch();
  return cluster_.PutVolume(info);
}

bool VolumeHost::IsSealed(const pb::VolumeConf& v) const {
  auto it = cluster_.volumes().find(VolumeId(v.id()));
  return it != cluster_.volumes().end() && !it->second.handed().empty() &&
         it->second.handed_epoch() == v.epoch();
}

Status VolumeHost::Delete(VolumeId id) {
  KFS_RETURN_IF_ERROR(Db::Destroy(Path(id)));
  std::error_code ec;
  std::filesystem::remove_all(Path(id), ec);
  std::filesystem::remove_all(Path(id) + ".replaced", ec);
  damaged_.erase(id);
  KFS_LOG(info, "volume.deleted id={}", id.v);
  return cluster_.RemoveVolume(id);  // its chunks are garbage at the next inventory
}

Status VolumeHost::Trouble(VolumeId id) const {
  auto it = trouble_.find(id);
  return it == trouble_.end() ? Status() : it->second;
}

Status VolumeHost::Where(const pb::ClusterConf& conf, const std::string& self,
                         const std::string& name) const {
  const pb::VolumeConf* v = meta::FindVolume(conf, name);
  if (v == nullptr)
    return Status(ENOENT, fmt::format("there is no volume \"{}\" (see: kfs volume list)", name));
  if (!v->started()) {
    return Status(ESHUTDOWN, Code::kStopped,
                  fmt::format("volume \"{}\" is stopped: start it with 'kfs volume start {}'", name, name));
  }
  if (v->owner() != self) {
    return Status(EAGAIN, Code::kNotOwner,
                  fmt::format("volume \"{}\" is served by {}", name, NameOf(conf, v->owner())));
  }
  if (auto held = held_.find(VolumeId(v->id())); held != held_.end()) return held->second;
  const Status trouble = Trouble(VolumeId(v->id()));
  return trouble.ok() ? Status(EAGAIN, Code::kTryAgain, "the volume is being opened") : trouble;
}

}  // namespace kfs::meta

#include "metaserver/hosting/volume_opening.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/durable_file.h"
#include "metaserver/hosting/sync_points.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

// A restored volume goes on beyond all numbers that it has given out before. Its present database may be
// damaged or gone, and the same backup may have been restored before: so the numbers rise with the
// generation, too, which is another one for each restore. (A session's number has 40 bits, the others 64.)
constexpr uint64_t kRestoreSkip = uint64_t{1} << 28;
constexpr uint64_t kRestoreSkipSessions = uint64_t{1} << 20;

// Raises the counters and the line to those of a database that may be there. What cannot be read is passed
// over: a volume is restored because it is damaged, perhaps.
void RaiseTo(const std::string& database, FileOps& files, DbMemory& memory, rec::VolumeCounters* counters,
             uint64_t* line) {
  if (!files.Exists(database)) return;
  Result<std::unique_ptr<Db>> db = Db::Open(database, "volume", memory);
  if (!db.ok()) return;
  *line = std::max(*line, LineOf(**db));
  rec::VolumeCounters theirs;
  const std::optional<std::string> stored = (*db)->Get(CountersKey());
  if (!stored || !theirs.ParseFromString(*stored)) return;
  counters->set_next_ino(std::max(counters->next_ino(), theirs.next_ino()));
  counters->set_next_chunk(std::max(counters->next_chunk(), theirs.next_chunk()));
  counters->set_next_session(std::max(counters->next_session(), theirs.next_session()));
}

// A backup becomes this volume's database: other numbers, no sessions. Called before it takes the place of
// the present one, beyond whose numbers it goes on.
Status PrepareRestored(const std::string& path, const VolumeOpening& o, FileOps& files, DbMemory& memory) {
  const pb::VolumeConf& v = o.conf;
  Result<std::unique_ptr<Db>> opened = Db::Open(path, "volume", memory);
  if (!opened.ok()) return opened.status();
  Db& db = **opened;
  rec::VolumeCounters counters;
  const std::optional<std::string> stored = db.Get(CountersKey());
  KFS_RETURN_IF_ERROR(db.TakeReadError());
  if (!stored || !counters.ParseFromString(*stored))
    return Status(EIO, Code::kCorrupt, "the backup is not one of a volume");
  // What was made since the backup must not be taken for what is made from now on: files, chunks and
  // sessions.
  uint64_t line = std::max(o.heard_line, LineOf(db));
  for (const std::string& database : {o.path, o.path + ".replaced"})
    RaiseTo(database, files, memory, &counters, &line);
  counters.set_next_ino(std::max(counters.next_ino() + kRestoreSkip, v.epoch() << 28));
  counters.set_next_chunk(std::max(counters.next_chunk() + kRestoreSkip, v.epoch() << 32));
  counters.set_next_session(std::max(counters.next_session() + kRestoreSkipSessions, v.epoch() << 20));
  counters.set_doubtful_before(counters.next_chunk());
  // Mounts have gone on since: sessions and their answers. However many there are: deleted one by one, 100
  // 000 sessions with an answer each took the loop a second. What was garbage then is found by inventories.
  // (What chunks were to be changed by stays: their records say that they are, and one that has been is not
  // again.)
  for (const char* prefix : {"S", "A", "G"}) db.DeleteAll(prefix);
  db.Put(CountersKey(), counters.SerializeAsString());
  rec::VolumeStamp stamp;
  stamp.set_cluster_id(o.cluster_id);
  stamp.set_volume(v.id());
  stamp.set_epoch(v.epoch());
  stamp.set_line(SyncPoints::NextLine(line, v.epoch()));
  db.Put(StampKey(), stamp.SerializeAsString());
  db.Commit();
  KFS_RETURN_IF_ERROR(db.TakeReadError());
  return db.Sync();
}

// The copy that the configuration names, if it is here and has not been begun with.
Status TakeCopy(VolumeOpening* o, FileOps& files, const ImageStore& images, DbMemory& memory) {
  const pb::VolumeConf& v = o->conf;
  if (!o->copy) return {};
  if (o->copy->cluster_id() != o->cluster_id || o->copy->volume() != v.id() ||
      (!v.restored() && o->copy->epoch() != v.from_epoch()))
    return Status(EIO, fmt::format("the copy {} is not of volume \"{}\"", v.transfer(), v.name()));
  const std::string& path = o->path;
  if (v.restored()) KFS_RETURN_IF_ERROR(PrepareRestored(images.Path(v.transfer()), *o, files, memory));
  // What was there before: kept beside it after a restore, until the next; else left from an earlier time.
  const std::string before = path + ".replaced";
  if (files.Exists(path)) {
    (void)files.RemoveAll(before);  // Place fails if it cannot be
    if (v.restored()) {
      (void)files.Rename(path, before);
    } else {
      KFS_RETURN_IF_ERROR(Db::Destroy(path, memory.env()));
      (void)files.RemoveAll(path);
    }
  }
  KFS_RETURN_IF_ERROR(images.Place(v.transfer(), path));
  o->copy_taken = true;
  return {};
}

}  // namespace

uint64_t LineOf(Db& db) {
  rec::VolumeStamp stamp;
  const std::optional<std::string> stored = db.Get(StampKey());
  return stored && stamp.ParseFromString(*stored) ? stamp.line() : 0;
}

std::string ToRestore(const pb::VolumeConf& v) {
  return fmt::format(
      "restore a backup of it (kfs volume stop {0}; kfs volume restore {0} FILE; kfs volume start {0})",
      v.name());
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

Result<std::unique_ptr<Db>> OpenDatabase(VolumeOpening* o, FileOps& files, const ImageStore& images,
                                         DbMemory& memory) {
  const pb::VolumeConf& v = o->conf;
  const std::string& path = o->path;
  KFS_RETURN_IF_ERROR(TakeCopy(o, files, images, memory));
  const bool present = files.Exists(path);
  rec::VolumeStamp stamp;
  if (o->known || present) {
    if (!present) {
      return Status(
          EIO,
          fmt::format(
              "the data of volume \"{}\" is not in {}: put it back there, stop and start the volume; or {}",
              v.name(), path, ToRestore(v)));
    }
    // Whoever put it there may have been killed before its name was durable, and it will be known to be here.
    if (!o->known) KFS_RETURN_IF_ERROR(SyncPath(files, ParentOf(path)));
    Result<std::unique_ptr<Db>> db = Db::Open(path, "volume", memory);
    if (!db.ok()) return db;
    const std::optional<std::string> stored = (*db)->Get(StampKey());
    KFS_RETURN_IF_ERROR((*db)->TakeReadError());
    if (stored && stamp.ParseFromString(*stored) && stamp.cluster_id() == o->cluster_id &&
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
    const bool half_made =
        !stored && !o->known && v.transfer().empty() && v.owner_incarnation() == o->incarnation;
    if (!half_made) {
      return Status(
          EIO,
          fmt::format("{} holds another volume, or volume \"{}\" of another time: put the right data there, "
                      "stop and start the volume; or {}",
                      path, v.name(), ToRestore(v)));
    }
    db->reset();
    KFS_RETURN_IF_ERROR(Db::Destroy(path, memory.env()));
  }
  if (v.owner_incarnation() != o->incarnation) {
    return Status(EIO, fmt::format("volume \"{}\" was lost with its metaserver's disk: {}, or delete it",
                                   v.name(), ToRestore(v)));
  }
  // What was handed over, or restored, is there or lost: an empty one in its place would be served as if all had
  // been removed.
  if (!v.transfer().empty()) {
    return Status(EIO,
                  fmt::format("the copy {} of volume \"{}\" that was sent here is gone: {}, or delete it",
                              v.transfer(), v.name(), ToRestore(v)));
  }
  Result<std::unique_ptr<Db>> db = Db::Open(path, "volume", memory);
  if (!db.ok()) return db;
  stamp.set_cluster_id(o->cluster_id);
  stamp.set_volume(v.id());
  stamp.set_epoch(v.epoch());
  stamp.set_line(SyncPoints::NextLine(o->heard_line, v.epoch()));
  (*db)->Put(StampKey(), stamp.SerializeAsString());
  (*db)->Commit();
  KFS_RETURN_IF_ERROR((*db)->Sync());
  return db;
}

}  // namespace kfs::meta

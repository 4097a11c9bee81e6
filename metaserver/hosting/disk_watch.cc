#include "metaserver/hosting/disk_watch.h"

#include <algorithm>

#include "common/log.h"

namespace kfs::meta {
namespace {

constexpr uint64_t kReserveMax = 512u << 20;
// A configuration with what was accepted besides, and the tables that RocksDB may write meanwhile.
constexpr uint64_t kRecordReserve = 8u << 20;

}  // namespace

DiskWatch::DiskWatch(FileOps& files, std::string dir, uint64_t reserve, std::string subject, Alarms& alarms,
                     DiskWatchEnv& env)
    : files_(files),
      dir_(std::move(dir)),
      reserve_(reserve),
      subject_(std::move(subject)),
      alarms_(alarms),
      env_(env) {}

void DiskWatch::Look() {
  struct statvfs st {};
  if (files_.Statvfs(dir_, &st) < 0) return;
  const uint64_t capacity = st.f_blocks * st.f_frsize, available = st.f_bavail * st.f_frsize;
  const uint64_t reserve = reserve_ != 0 ? reserve_ : std::min(capacity / 10, kReserveMax);
  if (const bool has_room = available >= kRecordReserve; has_room != has_room_) {
    has_room_ = has_room;
    RoomChanged(available);
  }
  if (const bool full = available < reserve; full != full_) {
    full_ = full;
    FullChanged(available, reserve);
  }
}

void DiskWatch::RoomChanged(uint64_t available) {
  env_.SetHasRoom(has_room_);
  alarms_.Clear("cluster.no_room", subject_);
  if (has_room_) return;
  alarms_.Raise("cluster.no_room", subject_,
                {.severity = pb::ClusterStatusReply::Alarm::CRITICAL,
                 .what = "has no room on its disk for votes and later configurations",
                 .next = "make room on the disk of its data-dir"});
  KFS_LOG(error, "cluster.no_room path={} available={} effect=\"no vote, and no later configuration\"", dir_,
          available);
}

void DiskWatch::FullChanged(uint64_t available, uint64_t reserve) {
  env_.SetFull(full_);
  alarms_.Clear("metadata.disk_full", subject_);
  if (!full_) {
    KFS_LOG(info, "disk.has_room path={} available={}", dir_, available);
    return;
  }
  alarms_.Raise("metadata.disk_full", subject_,
                {.severity = pb::ClusterStatusReply::Alarm::CRITICAL,
                 .what = "has a disk that is nearly full: nothing new is made in its volumes (ENOSPC)",
                 .next = "make room on the disk of its data-dir"});
  KFS_LOG(error, "disk.full path={} available={} reserve={} effect=\"nothing new is made (ENOSPC)\"", dir_,
          available, reserve);
}

}  // namespace kfs::meta

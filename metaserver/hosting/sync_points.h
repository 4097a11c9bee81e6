// How far each volume has been durable, as far as anybody has heard: by this an older copy of a data
// directory is known, a snapshot or an image of a disk that is started in place of the right one. What was
// announced of a volume was synced before, so that loss of power never leaves a database behind it.
//
//   synced -> announced, signed -> chunkservers (kept on their disks), mounts, other metaservers
//          -> shown to whoever serves the volume later -> its database ends before that -> it is not served
//
// A point is signed by the metaservers' own key: chunkservers and mounts carry it, and cannot make one that
// closes a volume. Points are compared by (line, sequence). The line rises where a volume begins anew (it is
// created, or restored from a backup), and stays when it is moved.
// Loop's thread only.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "common/status.h"
#include "common/types.h"
#include "proto/common.pb.h"

namespace kfs::meta {

class SyncPoints {
 public:
  // All metaservers of a cluster have the same key, and no others: several clusters may have one secret.
  explicit SyncPoints(std::string key) : key_(std::move(key)) {}
  // In another cluster from here on: what was heard is about other volumes.
  void BeginAnew(std::string key) {
    key_ = std::move(key);
    latest_.clear();
  }

  // What is announced of a volume.
  pb::SyncPoint Signed(VolumeId volume, uint64_t line, uint64_t sequence, uint64_t opening) const;

  // Remembers it, if it is ours and later than what is known of the volume; tells whether it was.
  bool Heard(const pb::SyncPoint& point);
  // Null: nothing has been heard of.
  const pb::SyncPoint* Latest(VolumeId volume) const;
  // The line of a volume that begins anew, and whose earlier ones had at most `known`; `epoch` as in its
  // configuration. Any thread.
  static uint64_t NextLine(uint64_t known, uint64_t epoch) { return std::max(known + 1, epoch); }

  // EAGAIN/kTryAgain, in words, when a database that ended at `sequence` as it was opened is an older copy.
  // `opening`: of that database, which has gone on since; 0: it is just being opened.
  Status Check(VolumeId volume, const std::string& name, uint64_t line, uint64_t sequence,
               uint64_t opening) const;

 private:
  std::string Mac(const pb::SyncPoint& point) const;

  std::string key_;
  std::map<VolumeId, pb::SyncPoint> latest_;
};

// Who has been told what, so that only news is sent. A receiver is a chunkserver or a metaserver, by its
// uuid.
class PointsTold {
 public:
  static constexpr size_t kAtOnce = 1024;  // points in one message

  // Whether it has not been told; it counts as told from here on.
  bool IsNews(const std::string& receiver, VolumeId volume, uint64_t sequence) {
    uint64_t& told = told_[receiver].sequence[volume];
    return std::exchange(told, std::max(told, sequence)) < sequence;
  }
  void Forget(const std::string& receiver) { told_.erase(receiver); }
  // Forgets what was told over an earlier connection, one that had begun at another time.
  void Since(const std::string& receiver, int64_t connected) {
    if (told_[receiver].connected == connected) return;
    told_[receiver] = {.connected = connected, .sequence = {}};
  }

 private:
  struct Told {
    int64_t connected = 0;
    std::map<VolumeId, uint64_t> sequence;
  };
  std::map<std::string, Told> told_;
};

}  // namespace kfs::meta

// What the session holds at the metaserver: opens and locks. A restarted metaserver is told of them
// (Reclaim).
//
// Rules: an open or lock counts from its answer on; a release or unlock counts from its sending on. So what
// is pending is never reclaimed, and the resent op itself says what becomes of it. Worker's thread only.
// Never fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "client/kfs_client.h"
#include "proto/meta.pb.h"

namespace kfs {

class HeldState {
 public:
  void Opened(Ino ino) { ++opens_[ino]; }
  // False when the handle belonged to a lost session: the metaserver knows nothing of it.
  bool Released(Ino ino);
  uint32_t opens(Ino ino) const;

  // A granted lock or an unlock: replaces what the owner had in the range.
  void ApplyLock(Ino ino, const FileLock& lock);
  void DropFlock(Ino ino, uint64_t owner);
  void DropPosixLocks(Ino ino, uint64_t owner);
  // What the owner holds in the range, cut to it.
  std::vector<FileLock> LocksIn(Ino ino, const FileLock& range) const;
  size_t lock_count() const;

  // The session ended: everything held is lost. Handles on these inodes are dead until they have been
  // released.
  void SessionLost();
  bool IsLost(Ino ino) const { return !lost_.empty() && lost_.contains(ino); }
  void Vanished(Ino ino);

  // Messages of at most `batch` entries, the last one marked; one (empty) message when nothing is held.
  std::vector<pb::ReclaimRequest> Reclaims(size_t batch) const;

 private:
  std::unordered_map<Ino, uint32_t> opens_;
  std::unordered_map<Ino, uint32_t> lost_;  // handles of lost sessions not yet released
  std::unordered_map<Ino, std::vector<FileLock>> locks_;
};

}  // namespace kfs

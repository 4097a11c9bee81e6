// What the session holds at the metaserver: opens and locks. A restarted metaserver is told of them
// (Reclaim).
//
// Rules: an open or lock counts from its answer on; a release or unlock counts from its sending on. So what
// is pending is never reclaimed, and the resent op itself says what becomes of it. Worker's thread only.
// Never fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "client/kfs_client.h"
#include "common/chunk_token.h"
#include "common/clock.h"
#include "proto/meta.pb.h"

namespace kfs {

class HeldState {
 public:
  // `rights`: bits of ChunkRights, what it was opened for.
  void Opened(const FileHandlePtr& handle, uint32_t rights = kReadChunk | kWriteChunk);
  // What came with an open; of several answers the one that proves most is kept.
  void Proven(Ino ino, const pb::OpenProof& proof);
  // False when it is not open, because it was lost or released before: the metaserver knows nothing of it.
  bool Released(const FileHandlePtr& handle);
  size_t opens(Ino ino) const;

  // A granted lock or an unlock: replaces what the owner had in the range.
  void ApplyLock(Ino ino, const FileLock& lock);
  void DropFlock(Ino ino, uint64_t owner);
  void DropPosixLocks(Ino ino, uint64_t owner);
  // What the owner holds in the range, cut to it.
  std::vector<FileLock> LocksIn(Ino ino, const FileLock& range) const;
  size_t lock_count() const;

  // The session ended or expired: everything held is lost.
  void SessionLost();
  // The inode is not there any more: all handles on it are lost.
  void Vanished(Ino ino);
  // Rises with each loss of changes. A handle notes it when it is opened.
  uint64_t epoch() const { return epoch_; }

  // Answered changes of these inodes (none: of any) were lost with a server's power. Who has a handle
  // from before cannot make durable any more what was changed; who has opened it just now may be the one who
  // changed it, and had to wait.
  static constexpr auto kTold = std::chrono::seconds(5);
  void ChangesLost(std::optional<std::unordered_set<Ino>> of, MonoTime now);
  bool ChangesLostSince(Ino ino, uint64_t opened_in) const;
  bool ChangesLostLately(Ino ino, MonoTime now) const;
  // An inode that was made just now: nothing of it can have been lost before.
  void Created(Ino ino, MonoTime now);

  // Messages of at most `batch` entries, the last one marked; one (empty) message when nothing is held.
  std::vector<pb::ReclaimRequest> Reclaims(size_t batch) const;

 private:
  struct Opens {
    std::unordered_set<FileHandlePtr> handles;
    uint32_t rights = 0;  // of all together, also of those released since
    pb::OpenProof proof;  // without a mac: none was given
  };
  void Lose(const Opens& opens);

  std::unordered_map<Ino, Opens> opens_;
  uint64_t epoch_ = 0;
  struct Loss {
    uint64_t in = 0;  // epoch
    MonoTime at{};
  };
  const Loss& ChangesLostOf(Ino ino) const;
  Loss all_changes_;                            // `in` 0: never
  std::unordered_set<Ino> created_since_;       // all_changes_, for as long as that is told
  std::unordered_map<Ino, Loss> some_changes_;  // of inodes; newer than all_changes_
  std::unordered_map<Ino, std::vector<FileLock>> locks_;
};

}  // namespace kfs

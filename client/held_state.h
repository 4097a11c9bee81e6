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
  void Opened(Ino ino, uint32_t rights = kReadChunk | kWriteChunk) {
    ++opens_[ino];
    opened_for_[ino] |= rights;
  }
  // What came with an open; of several answers the one that proves most is kept.
  void Proven(Ino ino, const pb::OpenProof& proof) {
    pb::OpenProof& kept = proofs_[ino];
    if (kept.mac().empty() || (proof.rights() & kept.rights()) == kept.rights()) kept = proof;
  }
  // False when the handle was lost: the metaserver knows nothing of it. (Who does not say which of an inode's
  // handles it releases releases those that are not lost first: a lost one must never come to life again.)
  bool Released(Ino ino);
  void LostReleased(Ino ino);
  uint32_t opens(Ino ino) const;

  // A granted lock or an unlock: replaces what the owner had in the range.
  void ApplyLock(Ino ino, const FileLock& lock);
  void DropFlock(Ino ino, uint64_t owner);
  void DropPosixLocks(Ino ino, uint64_t owner);
  // What the owner holds in the range, cut to it.
  std::vector<FileLock> LocksIn(Ino ino, const FileLock& range) const;
  size_t lock_count() const;

  // The session ended or expired: everything held is lost. Handles on these inodes are dead until they have
  // been released.
  void SessionLost();
  // The inode has lost handles, and nobody has opened it since.
  bool IsLost(Ino ino) const { return !lost_.empty() && lost_.contains(ino) && !opens_.contains(ino); }
  void Vanished(Ino ino);
  // Rises with each loss. Who notes it when a handle is opened can tell whether that very handle was lost.
  uint64_t epoch() const { return epoch_; }
  bool LostSince(Ino ino, uint64_t opened_in) const;

  // Answered changes of these inodes (none: of any) were lost with the metaserver's power. Who has a handle
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
  std::unordered_map<Ino, uint32_t> opens_;
  std::unordered_map<Ino, uint32_t> opened_for_;   // of the inodes in opens_
  std::unordered_map<Ino, pb::OpenProof> proofs_;  // of the same; none: none was given
  std::unordered_map<Ino, uint32_t> lost_;         // handles not yet released
  uint64_t epoch_ = 0, all_lost_in_ = 0;
  struct Loss {
    uint64_t in = 0;  // epoch
    MonoTime at{};
  };
  const Loss& ChangesLostOf(Ino ino) const;
  Loss all_changes_;                               // `in` 0: never
  std::unordered_set<Ino> created_since_;          // all_changes_, for as long as that is told
  std::unordered_map<Ino, Loss> some_changes_;     // of inodes; newer than all_changes_
  std::unordered_map<Ino, uint64_t> vanished_in_;  // by inode, while it has lost handles
  std::unordered_map<Ino, std::vector<FileLock>> locks_;
};

}  // namespace kfs

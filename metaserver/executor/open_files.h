// What the sessions of a volume have open: each session's own list (Session::opens), and how often an inode
// is open in all. Loop's thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <unordered_map>

#include "common/status.h"
#include "common/types.h"
#include "metaserver/executor/freeing.h"
#include "metaserver/executor/session.h"
#include "metaserver/executor/volume_env.h"
#include "metaserver/store/records.pb.h"

namespace kfs::meta {

class OpenFiles {
 public:
  static constexpr size_t kWeight = 128;  // in bytes, of one session's opens of one inode
  static constexpr size_t kStep = 32;     // inodes let go of in one step

  // `freeing` is told of an inode that nobody has open any more.
  OpenFiles(const rec::Volume& volume, VolumeEnv& env, Freeing& freeing)
      : volume_(volume), env_(env), freeing_(freeing) {}

  void Add(Session& session, Ino ino, uint32_t rights, uint32_t count = 1);
  // False when the session does not have it open.
  bool Drop(Session& session, Ino ino, uint32_t count = 1);
  // The session has nothing open any more; the inodes are let go of in steps.
  void DropAll(Session& session);
  // A stored answer of before this start has opened it, and the session may not have that: it is open until
  // it has heard, asks again, or ends. (How many there are is bounded with the answers.)
  void AddUnheard(Session& session, uint64_t op_id, Ino ino);
  // It has the answers of these ops, or will not ask for them any more.
  void Heard(Session& session, uint64_t first, uint64_t last, const std::set<uint64_t>& but = {});
  bool HasStep() const { return !dropped_.empty(); }
  void Step();

  // Whether the session may open one more inode: ENFILE when those of all sessions take too much. What it has
  // open already it may open again, and what it had it is given back (Reclaim).
  Status Room(const Session& session, Ino ino) const;
  bool IsOpen(Ino ino) const { return counts_.contains(ino); }
  size_t bytes() const { return held_ * kWeight; }

  // In bytes, of all sessions; and what each may have in any case, as a client needs that closes what it has
  // opened.
  size_t bytes_max = 512u << 20;
  size_t always = 64u << 10;

 private:
  void Uncount(Ino ino, uint64_t count);

  const rec::Volume& volume_;
  VolumeEnv& env_;
  Freeing& freeing_;
  std::unordered_map<Ino, uint64_t> counts_;
  size_t held_ = 0;                                     // entries of sessions and of `dropped_`
  std::deque<std::unordered_map<Ino, Opens>> dropped_;  // of sessions that have none of them any more
};

}  // namespace kfs::meta

// The advisory locks of one volume: fcntl record locks and flock locks, which do not see each other.
// In memory only: a restarted metaserver learns them again from its sessions (Reclaim).
//
// Record locks follow POSIX: an owner's new range replaces, splits or merges its old ones in one step; a
// request that would close a circle of waiting owners is refused, across inodes. flock locks cover the whole
// file; changing the type drops the old lock first, as Linux does, also when the new one is then refused.
//
// A request is granted when no *held* lock of another owner conflicts; those that must wait are tried in the
// order in which they came whenever something was released. (A request never waits behind a mere waiter: that
// would make circles that POSIX does not know.)
//
// The cost of a call rises with the logarithm of what is held, whatever else is held or waits (file_locks.h):
// anyone who may lock at all shares this thread with everyone. What would grow with a number that somebody
// chooses is cut into steps: the requests that one unlock lets go, and the locks of a session that ends.
// Meanwhile an inode is *settling*: who comes anew waits, so that nobody gets before those who came earlier.
//
//   unlock -> some are granted, in order -> settling: more_() -> Step -> ... -> all are: settled_(ino)
//   EndSession: its requests are granted nothing more -> ReleaseSome -> ... -> all it had is gone
//
// Lives on the volume's loop thread. `granted` functions run at the end of the call that caused them, when
// the table is consistent: they may call the table again, but not destroy it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/status.h"
#include "common/types.h"
#include "metaserver/locks/file_locks.h"
#include "metaserver/locks/lock_owner.h"

namespace kfs::meta {

class LockTable {
 public:
  enum class Outcome {
    kGranted,
    kConflict,  // EAGAIN
    kDeadlock,  // EDEADLK
    kWaiting,   // `granted` will be called, once
    kNoLocks,   // ENOLCK: the session, the user in it, or all sessions together, have too many
  };
  // OK; EINTR when cancelled; EIO when the session ended; ENOLCK.
  using GrantedFn = std::function<void(Status)>;

  // Ranges held and requests waiting that one session may have, and one user in it: what they can make the
  // metaserver remember. One user leaves half of a mount's to
  // the others; what was reclaimed counts against the session alone.
  static constexpr size_t kLocksPerSessionMax = 65536;
  static constexpr size_t kLocksPerUserMax = kLocksPerSessionMax / 2;
  // The same of all sessions, some 500 MB; beyond it each has the few that most programs take. What was
  // reclaimed was there before, and is not refused for others' sake.
  static constexpr size_t kLocksMax = 1u << 20;
  static constexpr size_t kLocksAlways = 256;
  static constexpr size_t kStep = 32;  // requests, ranges or groups looked at: some 100 us

  // `seed`: of the shape of its trees, which nobody shall guess.
  explicit LockTable(uint64_t seed, size_t locks_per_session_max = kLocksPerSessionMax,
                     size_t locks_per_user_max = kLocksPerUserMax, size_t locks_max = kLocksMax,
                     size_t locks_always = kLocksAlways);
  LockTable(const LockTable&) = delete;
  LockTable& operator=(const LockTable&) = delete;

  // Takes, changes or releases a lock. `wait`: on conflict, keeps the request until it can be granted or is
  // cancelled by (session, waiter_id). A waiting request sent again under the same waiter_id takes its own
  // place, with the new `granted`; the old one is dropped uncalled. An unlock fails only with kNoLocks (it
  // would split a range at the limit). REQUIRES: request.start <= request.end
  Outcome Set(Ino ino, LockOwner owner, const LockRequest& request, bool wait = false, GrantedFn granted = {},
              uint64_t waiter_id = 0);

  // F_GETLK: the conflicting lock with the lowest start; none when the request would be granted.
  std::optional<HeldLock> Test(Ino ino, LockOwner owner, const LockRequest& request) const;

  // Close: drops the owner's locks of the kind on the inode. Requests of a flock owner that still wait end
  // with EINTR (its file description is gone); those of record locks go on, as another thread may be waiting.
  void ReleaseOwner(Ino ino, LockOwner owner, bool flock);

  // Once set, a call looks at no more than `step` things, and Step is to be called after `more` until it says
  // false. `settled` is told when an inode's requests have all had their turn. Without, all is done at once.
  void InSteps(std::function<void()> more, std::function<void(Ino)> settled, size_t step = kStep);
  bool Settling(Ino ino) const { return settling_.contains(ino); }
  // Some more of what settles; false: that was all for now.
  bool Step();
  bool HasStep() const { return !ready_.empty(); }

  // The session is over: its waiting requests get nothing more, and wait for nobody (EDEADLK). What it holds
  // it holds until it is released.
  void EndSession(SessionId session);
  // Releases some of what a session that is over has; its waiting requests end with EIO first. False: nothing
  // is left, and the session is forgotten.
  bool ReleaseSome(SessionId session);
  // All of it.
  void ReleaseSession(SessionId session);

  // False when no such request waits (any more).
  bool CancelWaiter(SessionId session, uint64_t waiter_id);

  // Sessions that hold a flock lock on the inode, each once.
  std::vector<SessionId> FlockHolders(Ino ino) const;

  // Ranges held and requests waiting.
  size_t CountOf(SessionId session) const;
  size_t waiters() const { return waiters_.size(); }
  size_t count() const { return held_ + waiters_.size(); }  // of all sessions

  // What an owner, or everyone, holds on an inode (for status pages and tests).
  std::vector<HeldLock> Held(Ino ino, bool flock) const;

 private:
  using Ticket = LockTicket;
  using GroupKey = FileLocks::GroupKey;

  struct InodeLocks {
    explicit InodeLocks(uint64_t seed) : records(seed), flocks(seed + 1) {}
    FileLocks& Of(const LockRequest& request) { return request.flock ? flocks : records; }
    const FileLocks& Of(const LockRequest& request) const { return request.flock ? flocks : records; }
    FileLocks records, flocks;
    // Requests that may be granted, in this round and the next; this one has come to the cursor.
    std::set<Ticket> round, next_round;
    Ticket cursor = 0;
    size_t held_up = 0;  // sessions that are over and have released a part of what they held
  };
  struct Waiter {
    Ino ino;
    LockOwner owner;
    LockRequest request;
    GrantedFn granted;
    uint64_t id = 0;
  };
  struct Session {
    size_t held = 0;
    std::map<Ino, size_t> inodes;        // ranges held there
    std::map<uint64_t, Ticket> waiting;  // by waiter id
    std::set<Ticket> tickets;
    std::map<uint32_t, size_t> of_user;  // held and waiting
    bool over = false;
    std::optional<Ino> releasing;  // where it has released a part
  };
  using Calls = std::vector<std::pair<GrantedFn, Status>>;

  InodeLocks& LocksOf(Ino ino);
  bool WouldDeadlock(const InodeLocks& locks, LockOwner owner, const LockRequest& request) const;

  bool Apply(Ino ino, LockOwner owner, const LockRequest& request);
  void Count(SessionId session, Ino ino, ptrdiff_t change);
  void CountUser(SessionId session, std::optional<uint32_t> uid, ptrdiff_t change);
  bool Full(SessionId session, std::optional<uint32_t> uid, size_t more) const;

  void AddWaiter(Ino ino, LockOwner owner, const LockRequest& request, GrantedFn granted, uint64_t id);
  Waiter TakeWaiter(Ticket ticket);
  void GrantWaiters(Ino ino, Calls* calls);
  bool GrantNext(Ino ino, InodeLocks& locks, Calls* calls);
  bool IsOver(SessionId session) const;
  void ReleaseRange(Session& session, SessionId id, Calls* calls);
  void DropIfEmpty(Ino ino);
  void DropIfEmpty(SessionId session);
  static void Run(Calls calls);

  const size_t limit_, user_limit_, limit_of_all_, always_;
  size_t held_ = 0;  // by all sessions
  uint64_t seed_;
  Ticket next_ticket_ = 1;
  std::unordered_map<Ino, InodeLocks> inodes_;
  std::unordered_map<SessionId, Session> sessions_;
  std::map<Ticket, Waiter> waiters_;
  // Of record locks: what an owner waits for (and how many of its requests do), and how many ranges it holds.
  std::map<LockOwner, std::map<std::pair<Ino, GroupKey>, size_t>> record_waits_;
  std::map<LockOwner, size_t> record_ranges_;
  std::set<Ino> settling_, ready_;  // where somebody comes first; those of them that nothing holds up
  size_t step_ = kStep;
  std::function<void()> more_;
  std::function<void(Ino)> settled_;
};

}  // namespace kfs::meta

#include "metaserver/locks/lock_table.h"

#include <cassert>
#include <cerrno>
#include <random>
#include <utility>

namespace kfs::meta {
namespace {

// Looks that one EDEADLK answer takes at who is in whose way. Beyond it the request waits: a circle of so
// many can still be broken by a signal, while an endless search would hold up everyone.
constexpr size_t kDeadlockLooksMax = 1024;

bool Same(const LockRequest& a, const LockRequest& b) {
  return a.flock == b.flock && FileLocks::KeyOf(a) == FileLocks::KeyOf(b);
}

}  // namespace

LockTable::LockTable(uint64_t seed, size_t locks_per_session_max, size_t locks_per_user_max, size_t locks_max,
                     size_t locks_always)
    : limit_(locks_per_session_max),
      user_limit_(locks_per_user_max),
      limit_of_all_(locks_max),
      always_(locks_always),
      seed_(seed) {}

LockTable::InodeLocks& LockTable::LocksOf(Ino ino) {
  auto found = inodes_.find(ino);
  if (found != inodes_.end()) return found->second;
  seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;
  return inodes_.emplace(ino, InodeLocks(seed_)).first->second;
}

// Follows "waits for a lock held by" from the owners in the way of the request. An owner whose threads wait
// for several locks counts as waiting for each, as in Linux.
bool LockTable::WouldDeadlock(const InodeLocks& locks, LockOwner owner, const LockRequest& request) const {
  if (!record_ranges_.contains(owner)) return false;  // nobody waits for it
  std::set<LockOwner> seen;
  std::vector<LockOwner> todo;
  size_t looks = kDeadlockLooksMax;
  auto visit = [&](LockOwner holder) {
    if (seen.insert(holder).second) todo.push_back(holder);
    return true;
  };
  locks.records.ForEachBlocker(owner, request, &looks, visit);
  while (!todo.empty()) {
    const LockOwner holder = todo.back();
    todo.pop_back();
    if (holder == owner) return true;
    auto waits = record_waits_.find(holder);
    if (waits == record_waits_.end() || IsOver(holder.session)) continue;
    for (const auto& [what, count] : waits->second) {
      if (looks == 0) break;
      const GroupKey& key = what.second;
      const LockRequest waiting{.type = key.type, .start = key.start, .end = key.end};
      inodes_.at(what.first).records.ForEachBlocker(holder, waiting, &looks, visit);
    }
  }
  return false;
}

// ---- changing what is held ----

void LockTable::Count(SessionId session, Ino ino, ptrdiff_t change) {
  if (change == 0) return;
  Session& s = sessions_[session];
  s.held += static_cast<size_t>(change);
  held_ += static_cast<size_t>(change);
  size_t& there = s.inodes[ino];
  there += static_cast<size_t>(change);
  if (there == 0) s.inodes.erase(ino);
}

void LockTable::CountUser(SessionId session, std::optional<uint32_t> uid, ptrdiff_t change) {
  if (change == 0 || !uid.has_value()) return;
  std::map<uint32_t, size_t>& of_user = sessions_[session].of_user;
  size_t& count = of_user[*uid];
  count += static_cast<size_t>(change);
  if (count == 0) of_user.erase(*uid);
}

bool LockTable::Full(SessionId session, std::optional<uint32_t> uid, size_t more) const {
  if (CountOf(session) + more > limit_) return true;
  if (!uid.has_value()) return false;
  if (count() + more > limit_of_all_ && CountOf(session) + more > always_) return true;
  auto found = sessions_.find(session);
  if (found == sessions_.end()) return false;
  auto user = found->second.of_user.find(*uid);
  return user != found->second.of_user.end() && user->second + more > user_limit_;
}

// False when a limit forbids it; then nothing has changed.
bool LockTable::Apply(Ino ino, LockOwner owner, const LockRequest& request) {
  FileLocks& locks = LocksOf(ino).Of(request);
  // What an owner holds counts against whoever took the first of it.
  const std::optional<uint32_t> uid = locks.RangesOf(owner) == 0 ? request.uid : locks.UidOf(owner);
  const ptrdiff_t growth = locks.GrowthAtMost(owner, request);
  if (growth > 0 && Full(owner.session, uid, static_cast<size_t>(growth))) return false;
  const ptrdiff_t change = locks.Apply(owner, request);
  Count(owner.session, ino, change);
  CountUser(owner.session, uid, change);
  if (request.flock || change == 0) return true;
  size_t& ranges = record_ranges_[owner];
  ranges += static_cast<size_t>(change);
  if (ranges == 0) record_ranges_.erase(owner);
  return true;
}

void LockTable::DropIfEmpty(Ino ino) {
  auto it = inodes_.find(ino);
  if (it == inodes_.end() || settling_.contains(ino)) return;
  if (it->second.records.empty() && it->second.flocks.empty()) inodes_.erase(it);
}

void LockTable::DropIfEmpty(SessionId session) {
  auto it = sessions_.find(session);
  if (it == sessions_.end() || it->second.releasing) return;
  if (it->second.held == 0 && it->second.tickets.empty()) sessions_.erase(it);
}

// ---- waiting ----

void LockTable::AddWaiter(Ino ino, LockOwner owner, const LockRequest& request, GrantedFn granted,
                          uint64_t id) {
  const Ticket ticket = next_ticket_++;
  waiters_.emplace(ticket, Waiter{ino, owner, request, std::move(granted), id});
  LocksOf(ino).Of(request).AddWaiter(ticket, owner, request);
  Session& session = sessions_[owner.session];
  session.tickets.insert(ticket);
  CountUser(owner.session, request.uid, 1);
  if (id != 0) session.waiting[id] = ticket;
  if (!request.flock) ++record_waits_[owner][{ino, FileLocks::KeyOf(request)}];
}

LockTable::Waiter LockTable::TakeWaiter(Ticket ticket) {
  auto node = waiters_.extract(ticket);
  assert(!node.empty());
  Waiter waiter = std::move(node.mapped());
  inodes_.at(waiter.ino).Of(waiter.request).RemoveWaiter(ticket, waiter.owner, waiter.request);
  Session& session = sessions_.at(waiter.owner.session);
  session.tickets.erase(ticket);
  CountUser(waiter.owner.session, waiter.request.uid, -1);
  if (waiter.id != 0) session.waiting.erase(waiter.id);
  if (!waiter.request.flock) {
    auto waits = record_waits_.find(waiter.owner);
    auto what = waits->second.find({waiter.ino, FileLocks::KeyOf(waiter.request)});
    if (--what->second == 0) waits->second.erase(what);
    if (waits->second.empty()) record_waits_.erase(waits);
  }
  return waiter;
}

// Grants, in the order of arrival, what no longer conflicts. A grant may itself set something free (a write
// lock turned into a read lock): what came earlier than the granted one has its turn in another round.
void LockTable::GrantWaiters(Ino ino, Calls* calls) {
  auto found = inodes_.find(ino);
  if (found == inodes_.end() || found->second.held_up != 0) return;
  for (size_t n = 0; !more_ || n < step_; ++n) {
    if (GrantNext(ino, found->second, calls)) continue;
    ready_.erase(ino);
    if (settling_.erase(ino) > 0 && settled_) settled_(ino);
    return DropIfEmpty(ino);
  }
  settling_.insert(ino);
  if (ready_.insert(ino).second) more_();
}

// False: there is nothing to be looked at.
bool LockTable::GrantNext(Ino ino, InodeLocks& locks, Calls* calls) {
  auto schedule = [&](FileLocks& side, const GroupKey& key) {
    const FileLocks::Free free = side.FreeWaiters(key, locks.cursor);
    if (free.after != 0) locks.round.insert(free.after);
    if (free.before != 0) locks.next_round.insert(free.before);
  };
  // Who came first is known when all are.
  for (FileLocks* side : {&locks.records, &locks.flocks}) {
    if (const std::optional<GroupKey> key = side->TakeStale()) {
      schedule(*side, *key);
      return true;
    }
  }
  if (locks.round.empty()) {
    locks.round.swap(locks.next_round);
    locks.cursor = 0;
  }
  if (locks.round.empty()) return false;
  const Ticket ticket = *locks.round.begin();
  locks.round.erase(locks.round.begin());
  auto waiting = waiters_.find(ticket);
  if (waiting == waiters_.end()) return true;  // scheduled twice, or cancelled
  const LockOwner owner = waiting->second.owner;
  const LockRequest request = waiting->second.request;
  FileLocks& side = locks.Of(request);
  if (!side.FirstBlocker(owner, request).has_value()) {
    locks.cursor = ticket;
    Waiter waiter = TakeWaiter(ticket);
    Status granted;
    if (IsOver(owner.session)) {
      granted = Status(EIO, "the session has ended");
    } else if (!Apply(ino, owner, request)) {
      granted = Status(ENOLCK, "too many locks");
    }
    calls->emplace_back(std::move(waiter.granted), std::move(granted));
    DropIfEmpty(owner.session);
  }
  schedule(side, FileLocks::KeyOf(request));
  return true;
}

void LockTable::InSteps(std::function<void()> more, std::function<void(Ino)> settled, size_t step) {
  step_ = step;
  more_ = std::move(more);
  settled_ = std::move(settled);
}

bool LockTable::Step() {
  if (ready_.empty()) return false;
  Calls calls;
  GrantWaiters(*ready_.begin(), &calls);
  Run(std::move(calls));
  return !ready_.empty();
}

void LockTable::Run(Calls calls) {
  for (auto& [granted, status] : calls) {
    if (granted) granted(std::move(status));
  }
}

// ---- the public calls ----

LockTable::Outcome LockTable::Set(Ino ino, LockOwner owner, const LockRequest& request, bool wait,
                                  GrantedFn granted, uint64_t waiter_id) {
  assert(request.flock || request.start <= request.end);
  if (wait && waiter_id != 0) {
    auto session = sessions_.find(owner.session);
    if (session != sessions_.end()) {
      auto waiting = session->second.waiting.find(waiter_id);
      if (waiting != session->second.waiting.end()) {
        Waiter& waiter = waiters_.at(waiting->second);
        if (waiter.ino != ino || waiter.owner != owner || !Same(waiter.request, request))
          return Outcome::kConflict;
        waiter.granted = std::move(granted);
        return Outcome::kWaiting;
      }
    }
  }
  Outcome outcome = Outcome::kGranted;
  InodeLocks& locks = LocksOf(ino);
  if (request.flock && request.type != LockType::kUnlock) {
    const std::optional<LockType> own = locks.flocks.TypeOf(owner);
    if (own.has_value() && *own != request.type)
      Apply(ino, owner, {.type = LockType::kUnlock, .flock = true});
  }
  if (!locks.Of(request).FirstBlocker(owner, request).has_value()) {
    if (!Apply(ino, owner, request)) outcome = Outcome::kNoLocks;
  } else if (!wait) {
    outcome = Outcome::kConflict;
  } else if (Full(owner.session, request.uid, 1)) {
    outcome = Outcome::kNoLocks;
  } else if (!request.flock && WouldDeadlock(locks, owner, request)) {
    outcome = Outcome::kDeadlock;
  } else {
    AddWaiter(ino, owner, request, std::move(granted), waiter_id);
    outcome = Outcome::kWaiting;
  }
  Calls calls;
  GrantWaiters(ino, &calls);
  DropIfEmpty(ino);
  DropIfEmpty(owner.session);
  Run(std::move(calls));
  return outcome;
}

std::optional<HeldLock> LockTable::Test(Ino ino, LockOwner owner, const LockRequest& request) const {
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return std::nullopt;
  return it->second.Of(request).FirstBlocker(owner, request);
}

void LockTable::ReleaseOwner(Ino ino, LockOwner owner, bool flock) {
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return;
  Calls calls;
  Apply(ino, owner, {.type = LockType::kUnlock, .flock = flock, .start = 0, .end = UINT64_MAX});
  if (flock) {
    for (Ticket ticket : it->second.flocks.WaitersOf(owner))
      calls.emplace_back(TakeWaiter(ticket).granted, Status(EINTR, "the file was closed"));
  }
  GrantWaiters(ino, &calls);
  DropIfEmpty(ino);
  DropIfEmpty(owner.session);
  Run(std::move(calls));
}

bool LockTable::IsOver(SessionId session) const {
  auto it = sessions_.find(session);
  return it != sessions_.end() && it->second.over;
}

void LockTable::EndSession(SessionId session) {
  auto it = sessions_.find(session);
  if (it != sessions_.end()) it->second.over = true;
}

// Those who wait have their turn once the inode has been left altogether: who came first may want all of it.
void LockTable::ReleaseRange(Session& session, SessionId id, Calls* calls) {
  const Ino ino = session.releasing ? *session.releasing : session.inodes.begin()->first;
  InodeLocks& locks = inodes_.at(ino);
  if (!session.releasing) {
    session.releasing = ino;
    ++locks.held_up;
    settling_.insert(ino);
  }
  for (bool flock : {false, true}) {
    LockRequest part{.type = LockType::kUnlock, .flock = flock};
    const auto held = locks.Of(part).PartOf(id, 1);
    if (!held) continue;
    part.end = held->end;
    Apply(ino, held->owner, part);
    break;
  }
  if (session.inodes.contains(ino)) return;
  session.releasing.reset();
  --locks.held_up;
  GrantWaiters(ino, calls);
}

bool LockTable::ReleaseSome(SessionId session) {
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return false;
  it->second.over = true;
  Calls calls;
  for (size_t n = 0; n < step_ && it != sessions_.end(); ++n, it = sessions_.find(session)) {
    const Session& s = it->second;
    if (!s.tickets.empty()) {
      Waiter waiter = TakeWaiter(*s.tickets.begin());
      calls.emplace_back(std::move(waiter.granted), Status(EIO, "the session has ended"));
      DropIfEmpty(waiter.ino);
    } else if (s.releasing || !s.inodes.empty()) {
      ReleaseRange(it->second, session, &calls);
    }
    DropIfEmpty(session);
  }
  Run(std::move(calls));
  return sessions_.contains(session);
}

void LockTable::ReleaseSession(SessionId session) {
  EndSession(session);
  while (ReleaseSome(session)) {
  }
}

bool LockTable::CancelWaiter(SessionId session, uint64_t waiter_id) {
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return false;
  auto waiting = it->second.waiting.find(waiter_id);
  if (waiting == it->second.waiting.end()) return false;
  Waiter waiter = TakeWaiter(waiting->second);
  DropIfEmpty(waiter.ino);
  DropIfEmpty(session);
  if (waiter.granted) waiter.granted(Status(EINTR, "interrupted"));
  return true;
}

std::vector<SessionId> LockTable::FlockHolders(Ino ino) const {
  auto it = inodes_.find(ino);
  return it == inodes_.end() ? std::vector<SessionId>() : it->second.flocks.Sessions();
}

size_t LockTable::CountOf(SessionId session) const {
  auto it = sessions_.find(session);
  return it == sessions_.end() ? 0 : it->second.held + it->second.tickets.size();
}

std::vector<HeldLock> LockTable::Held(Ino ino, bool flock) const {
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return {};
  return flock ? it->second.flocks.Held() : it->second.records.Held();
}

}  // namespace kfs::meta

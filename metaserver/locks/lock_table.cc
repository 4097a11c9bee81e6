#include "metaserver/locks/lock_table.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

namespace kfs::meta {
namespace {

// Owners looked at for one EDEADLK answer. Beyond it the request waits: a circle of so many can still be
// broken by a signal, while an endless search would hold up everyone.
constexpr size_t kDeadlockSearchMax = 1024;

bool Conflict(LockType a, LockType b) { return a == LockType::kWrite || b == LockType::kWrite; }

// The first of the disjoint ranges that ends at or after `start`.
template <typename Map>
auto FirstTouching(Map& ranges, uint64_t start) {
  auto it = ranges.upper_bound(start);
  if (it != ranges.begin() && std::prev(it)->second.end >= start) --it;
  return it;
}

bool Same(const LockRequest& a, const LockRequest& b) {
  return a.type == b.type && a.flock == b.flock && (a.flock || (a.start == b.start && a.end == b.end));
}

}  // namespace

// ---- conflicts ----

// Calls fn(owner, start, range) for every held lock that stands in the way, until it returns false.
void LockTable::ForEachBlocker(const InodeLocks& locks, LockOwner owner, const LockRequest& request,
                               const std::function<bool(LockOwner, uint64_t, const Range&)>& fn) const {
  if (request.type == LockType::kUnlock) return;
  if (request.flock) {
    for (const auto& [holder, range] : locks.flocks) {
      if (holder != owner && Conflict(range.type, request.type) && !fn(holder, 0, range)) return;
    }
    return;
  }
  for (const auto& [holder, ranges] : locks.records) {
    if (holder == owner) continue;
    for (auto it = FirstTouching(ranges, request.start); it != ranges.end() && it->first <= request.end;
         ++it) {
      if (Conflict(it->second.type, request.type) && !fn(holder, it->first, it->second)) return;
    }
  }
}

bool LockTable::Blocked(const InodeLocks& locks, LockOwner owner, const LockRequest& request) const {
  bool blocked = false;
  ForEachBlocker(locks, owner, request, [&](LockOwner, uint64_t, const Range&) {
    blocked = true;
    return false;
  });
  return blocked;
}

// Follows "waits for a lock held by" from the owners in the way of the request. An owner whose threads wait
// for several locks counts as waiting for each, as in Linux.
bool LockTable::WouldDeadlock(const InodeLocks& locks, LockOwner owner, const LockRequest& request) const {
  std::set<LockOwner> seen;
  std::vector<LockOwner> todo;
  auto visit = [&](LockOwner holder, uint64_t, const Range&) {
    if (seen.insert(holder).second) todo.push_back(holder);
    return true;
  };
  ForEachBlocker(locks, owner, request, visit);
  while (!todo.empty() && seen.size() < kDeadlockSearchMax) {
    const LockOwner holder = todo.back();
    todo.pop_back();
    if (holder == owner) return true;
    auto waits = record_waits_.find(holder);
    if (waits == record_waits_.end()) continue;
    for (Ticket ticket : waits->second) {
      const Waiter& waiter = waiters_.at(ticket);
      ForEachBlocker(inodes_.at(waiter.ino), holder, waiter.request, visit);
    }
  }
  return false;
}

// ---- changing what is held ----

void LockTable::Count(SessionId session, Ino ino, ptrdiff_t change) {
  if (change == 0) return;
  Session& s = sessions_[session];
  s.held += static_cast<size_t>(change);
  size_t& there = s.inodes[ino];
  there += static_cast<size_t>(change);
  if (there == 0) s.inodes.erase(ino);
}

bool LockTable::Full(SessionId session) const { return CountOf(session) >= limit_; }

// False when the session's limit forbids it; then nothing has changed.
bool LockTable::Apply(Ino ino, LockOwner owner, const LockRequest& request) {
  InodeLocks& locks = inodes_[ino];
  return request.flock ? ApplyFlock(ino, locks, owner, request) : ApplyRecord(ino, locks, owner, request);
}

bool LockTable::ApplyFlock(Ino ino, InodeLocks& locks, LockOwner owner, const LockRequest& request) {
  auto it = locks.flocks.find(owner);
  const bool had = it != locks.flocks.end();
  if (request.type == LockType::kUnlock) {
    if (had) {
      locks.flocks.erase(it);
      Count(owner.session, ino, -1);
    }
    return true;
  }
  if (!had && Full(owner.session)) return false;
  locks.flocks[owner] = {.end = UINT64_MAX, .type = request.type, .pid = request.pid};
  if (!had) Count(owner.session, ino, 1);
  return true;
}

bool LockTable::ApplyRecord(Ino ino, InodeLocks& locks, LockOwner owner, const LockRequest& request) {
  auto found = locks.records.find(owner);
  if (found == locks.records.end() && request.type == LockType::kUnlock) return true;
  static const Ranges kNone;
  const Ranges& old = found == locks.records.end() ? kNone : found->second;

  // How many ranges there will be at most: merging with neighbours can only make it fewer.
  ptrdiff_t growth = request.type == LockType::kUnlock ? 0 : 1;
  for (auto it = FirstTouching(old, request.start); it != old.end() && it->first <= request.end; ++it) {
    growth += (it->first < request.start ? 1 : 0) + (it->second.end > request.end ? 1 : 0) - 1;
  }
  if (growth > 0 && CountOf(owner.session) + static_cast<size_t>(growth) > limit_) return false;

  Ranges& ranges = locks.records[owner];
  const auto before = static_cast<ptrdiff_t>(ranges.size());
  for (auto it = FirstTouching(ranges, request.start); it != ranges.end() && it->first <= request.end;) {
    const uint64_t start = it->first;
    const Range range = it->second;
    it = ranges.erase(it);
    if (start < request.start) {
      ranges[start] = {.end = request.start - 1, .type = range.type, .pid = range.pid};
    }
    if (range.end > request.end) {
      ranges[request.end + 1] = {.end = range.end, .type = range.type, .pid = range.pid};
      break;  // nothing of the request lies behind it
    }
  }
  if (request.type != LockType::kUnlock) {
    auto it = ranges.insert_or_assign(request.start, Range{request.end, request.type, request.pid}).first;
    if (auto next = std::next(it); next != ranges.end() && request.end != UINT64_MAX &&
                                   next->first == request.end + 1 && next->second.type == request.type) {
      it->second.end = next->second.end;
      ranges.erase(next);
    }
    if (it != ranges.begin()) {
      auto previous = std::prev(it);
      if (previous->second.end + 1 == it->first && previous->second.type == request.type) {
        previous->second.end = it->second.end;
        ranges.erase(it);
      }
    }
  }
  Count(owner.session, ino, static_cast<ptrdiff_t>(ranges.size()) - before);
  if (ranges.empty()) locks.records.erase(owner);
  return true;
}

void LockTable::DropIfEmpty(Ino ino) {
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return;
  const InodeLocks& locks = it->second;
  if (locks.records.empty() && locks.flocks.empty() && locks.waiting.empty()) inodes_.erase(it);
}

void LockTable::DropIfEmpty(SessionId session) {
  auto it = sessions_.find(session);
  if (it != sessions_.end() && it->second.held == 0 && it->second.tickets.empty()) sessions_.erase(it);
}

// ---- waiting ----

void LockTable::AddWaiter(Ino ino, LockOwner owner, const LockRequest& request, GrantedFn granted,
                          uint64_t id) {
  const Ticket ticket = next_ticket_++;
  waiters_.emplace(ticket, Waiter{ino, owner, request, std::move(granted), id});
  inodes_[ino].waiting.insert(ticket);
  Session& session = sessions_[owner.session];
  session.tickets.insert(ticket);
  if (id != 0) session.waiting[id] = ticket;
  if (!request.flock) record_waits_[owner].insert(ticket);
}

LockTable::Waiter LockTable::TakeWaiter(Ticket ticket) {
  auto node = waiters_.extract(ticket);
  assert(!node.empty());
  Waiter waiter = std::move(node.mapped());
  inodes_.at(waiter.ino).waiting.erase(ticket);
  Session& session = sessions_.at(waiter.owner.session);
  session.tickets.erase(ticket);
  if (waiter.id != 0) session.waiting.erase(waiter.id);
  if (!waiter.request.flock) {
    auto waits = record_waits_.find(waiter.owner);
    waits->second.erase(ticket);
    if (waits->second.empty()) record_waits_.erase(waits);
  }
  return waiter;
}

// Grants, in the order of arrival, what no longer conflicts. A grant may itself set something free (a write
// lock turned into a read lock), so it goes on until a whole round grants nothing.
void LockTable::GrantWaiters(Ino ino, Calls* calls) {
  for (bool again = true; again;) {
    again = false;
    auto found = inodes_.find(ino);
    if (found == inodes_.end()) return;
    InodeLocks& locks = found->second;
    for (auto it = locks.waiting.begin(); it != locks.waiting.end();) {
      const Ticket ticket = *it++;
      const Waiter& waiting = waiters_.at(ticket);
      if (Blocked(locks, waiting.owner, waiting.request)) continue;
      Waiter waiter = TakeWaiter(ticket);
      const bool applied = Apply(ino, waiter.owner, waiter.request);
      calls->emplace_back(std::move(waiter.granted),
                          applied ? Status() : Status(ENOLCK, "too many locks in one session"));
      DropIfEmpty(waiter.owner.session);
      again = true;
    }
  }
  DropIfEmpty(ino);
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
  InodeLocks& locks = inodes_[ino];
  bool freed =
      request.type != LockType::kWrite;  // an unlock, or perhaps a write lock turned into a read lock
  if (request.flock && request.type != LockType::kUnlock) {
    auto own = locks.flocks.find(owner);
    if (own != locks.flocks.end() && own->second.type != request.type) {
      ApplyFlock(ino, locks, owner, {.type = LockType::kUnlock, .flock = true});
      freed = true;
    }
  }
  if (!Blocked(locks, owner, request)) {
    if (!Apply(ino, owner, request)) outcome = Outcome::kNoLocks;
  } else if (!wait) {
    outcome = Outcome::kConflict;
  } else if (Full(owner.session)) {
    outcome = Outcome::kNoLocks;
  } else if (!request.flock && WouldDeadlock(locks, owner, request)) {
    outcome = Outcome::kDeadlock;
  } else {
    AddWaiter(ino, owner, request, std::move(granted), waiter_id);
    outcome = Outcome::kWaiting;
  }
  Calls calls;
  if (freed) GrantWaiters(ino, &calls);
  DropIfEmpty(ino);
  DropIfEmpty(owner.session);
  Run(std::move(calls));
  return outcome;
}

std::optional<HeldLock> LockTable::Test(Ino ino, LockOwner owner, const LockRequest& request) const {
  std::optional<HeldLock> first;
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return first;
  ForEachBlocker(it->second, owner, request, [&](LockOwner holder, uint64_t start, const Range& range) {
    if (!first || start < first->start) first = HeldLock{holder, range.type, start, range.end, range.pid};
    return true;
  });
  return first;
}

void LockTable::ReleaseOwner(Ino ino, LockOwner owner, bool flock) {
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return;
  Calls calls;
  Apply(ino, owner, {.type = LockType::kUnlock, .flock = flock, .start = 0, .end = UINT64_MAX});
  if (flock) {
    const std::set<Ticket> waiting = it->second.waiting;
    for (Ticket ticket : waiting) {
      const Waiter& waiter = waiters_.at(ticket);
      if (!waiter.request.flock || waiter.owner != owner) continue;
      calls.emplace_back(TakeWaiter(ticket).granted, Status(EINTR, "the file was closed"));
    }
  }
  GrantWaiters(ino, &calls);
  DropIfEmpty(ino);
  DropIfEmpty(owner.session);
  Run(std::move(calls));
}

void LockTable::ReleaseSession(SessionId session) {
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  Calls calls;
  std::set<Ino> touched;
  const std::set<Ticket> tickets = it->second.tickets;
  for (Ticket ticket : tickets) {
    Waiter waiter = TakeWaiter(ticket);
    touched.insert(waiter.ino);
    calls.emplace_back(std::move(waiter.granted), Status(EIO, "the session has ended"));
  }
  for (const auto& [ino, count] : it->second.inodes) {
    touched.insert(ino);
    InodeLocks& locks = inodes_.at(ino);
    auto of_session = [session](const auto& entry) { return entry.first.session == session; };
    std::erase_if(locks.records, of_session);
    std::erase_if(locks.flocks, of_session);
  }
  sessions_.erase(it);
  for (Ino ino : touched) {
    GrantWaiters(ino, &calls);
    DropIfEmpty(ino);
  }
  Run(std::move(calls));
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
  std::set<SessionId> sessions;
  if (auto it = inodes_.find(ino); it != inodes_.end()) {
    for (const auto& [owner, range] : it->second.flocks) sessions.insert(owner.session);
  }
  return {sessions.begin(), sessions.end()};
}

size_t LockTable::CountOf(SessionId session) const {
  auto it = sessions_.find(session);
  return it == sessions_.end() ? 0 : it->second.held + it->second.tickets.size();
}

std::vector<HeldLock> LockTable::Held(Ino ino, bool flock) const {
  std::vector<HeldLock> held;
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return held;
  if (flock) {
    for (const auto& [owner, range] : it->second.flocks)
      held.push_back({owner, range.type, 0, range.end, range.pid});
  } else {
    for (const auto& [owner, ranges] : it->second.records) {
      for (const auto& [start, range] : ranges)
        held.push_back({owner, range.type, start, range.end, range.pid});
    }
  }
  return held;
}

}  // namespace kfs::meta

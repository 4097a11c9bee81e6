#include "metaserver/locks/file_locks.h"

#include <algorithm>
#include <cassert>

namespace kfs::meta {
namespace {

// The first of the disjoint ranges that ends at or after `start`.
template <typename Map>
auto FirstTouching(Map& ranges, uint64_t start) {
  auto it = ranges.upper_bound(start);
  if (it != ranges.begin() && std::prev(it)->second.end >= start) --it;
  return it;
}

}  // namespace

FileLocks::GroupKey FileLocks::KeyOf(const LockRequest& request) {
  if (request.flock) return {0, UINT64_MAX, request.type};
  return {request.start, request.end, request.type};
}

// ---- held ----

std::optional<HeldLock> FileLocks::FirstBlocker(LockOwner owner, const LockRequest& request) const {
  if (request.type == LockType::kUnlock) return std::nullopt;
  const GroupKey key = KeyOf(request);
  auto found = writes_.First(key.start, key.end, owner);
  if (key.type == LockType::kWrite) {
    auto read = reads_.First(key.start, key.end, owner);
    if (!found || (read && read->start < found->start)) found = read;
  }
  if (!found) return std::nullopt;
  const Range& range = holders_.at(found->owner).ranges.at(found->start);
  return HeldLock{found->owner, range.type, found->start, range.end, range.pid};
}

void FileLocks::ForEachBlocker(LockOwner owner, const LockRequest& request, size_t* budget,
                               const std::function<bool(LockOwner)>& fn) const {
  const GroupKey key = KeyOf(request);
  auto spend = [budget] { return *budget != 0 && (*budget)-- != 0; };
  if (key.type == LockType::kWrite) {  // any range will do
    for (auto it = holders_.begin(); it != holders_.end() && spend(); ++it) {
      if (it->first == owner) continue;
      auto range = FirstTouching(it->second.ranges, key.start);
      if (range != it->second.ranges.end() && range->first <= key.end && !fn(it->first)) return;
    }
    return;
  }
  // Write locks of all owners are disjoint.
  for (uint64_t from = key.start; spend();) {
    auto found = writes_.First(from, key.end, owner);
    if (!found || !fn(found->owner) || found->end >= key.end) return;
    from = found->end + 1;
  }
}

ptrdiff_t FileLocks::GrowthAtMost(LockOwner owner, const LockRequest& request) const {
  const bool unlock = request.type == LockType::kUnlock;
  ptrdiff_t growth = unlock ? 0 : 1;
  auto holder = holders_.find(owner);
  if (holder == holders_.end()) return growth;
  const GroupKey key = KeyOf(request);
  const Ranges& old = holder->second.ranges;
  for (auto it = FirstTouching(old, key.start); it != old.end() && it->first <= key.end; ++it) {
    growth += (it->first < key.start ? 1 : 0) + (it->second.end > key.end ? 1 : 0) - 1;
  }
  return growth;
}

void FileLocks::Put(LockOwner owner, Ranges& ranges, uint64_t start, const Range& range) {
  ranges[start] = range;
  IndexOf(range.type).Insert({owner, start, range.end});
}

FileLocks::Ranges::iterator FileLocks::Drop(LockOwner owner, Ranges& ranges, Ranges::iterator it) {
  IndexOf(it->second.type).Erase(owner, it->first);
  return ranges.erase(it);
}

ptrdiff_t FileLocks::Apply(LockOwner owner, const LockRequest& request) {
  auto found = holders_.find(owner);
  const bool unlock = request.type == LockType::kUnlock;
  if (found == holders_.end()) {
    if (unlock) return 0;
    found = holders_.emplace(owner, Holder{request.uid, {}}).first;
  }
  Ranges& ranges = found->second.ranges;
  const auto before = static_cast<ptrdiff_t>(ranges.size());
  GroupKey key = KeyOf(request);
  for (auto it = FirstTouching(ranges, key.start); it != ranges.end() && it->first <= key.end;) {
    const uint64_t start = it->first;
    const Range range = it->second;
    it = Drop(owner, ranges, it);
    if (start < key.start) Put(owner, ranges, start, {key.start - 1, range.type, range.pid});
    if (range.end > key.end) {
      Put(owner, ranges, key.end + 1, {range.end, range.type, range.pid});
      break;  // nothing of the request lies behind it
    }
  }
  if (!unlock) {
    if (key.end != UINT64_MAX) {
      auto next = ranges.find(key.end + 1);
      if (next != ranges.end() && next->second.type == key.type) {
        key.end = next->second.end;
        Drop(owner, ranges, next);
      }
    }
    if (auto previous = ranges.lower_bound(key.start); previous != ranges.begin()) {
      --previous;
      if (previous->second.end + 1 == key.start && previous->second.type == key.type) {
        key.start = previous->first;
        Drop(owner, ranges, previous);
      }
    }
    Put(owner, ranges, key.start, {key.end, key.type, request.pid});
  }
  const ptrdiff_t change = static_cast<ptrdiff_t>(ranges.size()) - before;
  if (ranges.empty()) holders_.erase(found);
  NoteGivenUp(owner, request);
  return change;
}

std::vector<HeldLock> FileLocks::Held() const {
  std::vector<HeldLock> held;
  for (const auto& [owner, holder] : holders_) {
    for (const auto& [start, range] : holder.ranges)
      held.push_back({owner, range.type, start, range.end, range.pid});
  }
  return held;
}

std::optional<FileLocks::Part> FileLocks::PartOf(SessionId session, size_t ranges) const {
  auto holder = holders_.lower_bound({session, 0});
  if (holder == holders_.end() || holder->first.session != session) return std::nullopt;
  Part part{holder->first, 0};
  for (const auto& [start, range] : holder->second.ranges) {
    part.end = range.end;
    if (ranges-- <= 1) break;
  }
  return part;
}

std::vector<SessionId> FileLocks::Sessions() const {
  std::vector<SessionId> sessions;
  for (auto it = holders_.begin(); it != holders_.end();
       it = holders_.lower_bound({SessionId(sessions.back().v + 1), 0})) {
    sessions.push_back(it->first.session);
  }
  return sessions;
}

std::optional<LockType> FileLocks::TypeOf(LockOwner owner) const {
  auto it = holders_.find(owner);
  if (it == holders_.end()) return std::nullopt;
  return it->second.ranges.begin()->second.type;
}

std::optional<uint32_t> FileLocks::UidOf(LockOwner owner) const {
  auto it = holders_.find(owner);
  return it == holders_.end() ? std::nullopt : it->second.uid;
}

size_t FileLocks::RangesOf(LockOwner owner) const {
  auto it = holders_.find(owner);
  return it == holders_.end() ? 0 : it->second.ranges.size();
}

// ---- waiting ----

void FileLocks::AddWaiter(LockTicket ticket, LockOwner owner, const LockRequest& request) {
  const GroupKey key = KeyOf(request);
  Group& group = groups_[key];
  group.tickets.insert(ticket);
  group.by_owner[owner].insert(ticket);
  [[maybe_unused]] const std::set<LockTicket>* free = FreeOf(key, group);
  assert(free == nullptr || !free->contains(ticket));
}

void FileLocks::RemoveWaiter(LockTicket ticket, LockOwner owner, const LockRequest& request) {
  auto found = groups_.find(KeyOf(request));
  Group& group = found->second;
  group.tickets.erase(ticket);
  auto of_owner = group.by_owner.find(owner);
  of_owner->second.erase(ticket);
  if (of_owner->second.empty()) group.by_owner.erase(of_owner);
  if (!group.tickets.empty()) return;
  for (size_t slot : {1, 0}) ForgetBlocker(found->first, group, slot);
  groups_.erase(found);
}

std::vector<LockTicket> FileLocks::WaitersOf(LockOwner owner) const {
  std::vector<LockTicket> tickets;
  for (const auto& [key, group] : groups_) {
    if (auto it = group.by_owner.find(owner); it != group.by_owner.end())
      tickets.insert(tickets.end(), it->second.begin(), it->second.end());
  }
  std::ranges::sort(tickets);
  return tickets;
}

std::set<FileLocks::Note>::iterator FileLocks::FirstNote(const GivenUp& what) {
  const auto it = what.after ? notes_.upper_bound(*what.after)
                             : notes_.lower_bound(Note{what.owner, what.type, what.start, GroupKey{}});
  const bool there = it != notes_.end() && std::get<0>(*it) == what.owner && std::get<1>(*it) == what.type &&
                     std::get<2>(*it) <= what.end;
  return there ? it : notes_.end();
}

// What the owner no longer holds, or no longer holds so, frees those who have noted it.
void FileLocks::NoteGivenUp(LockOwner owner, const LockRequest& request) {
  const GroupKey key = KeyOf(request);
  for (LockType type : {LockType::kRead, LockType::kWrite}) {
    const bool still =
        request.type == LockType::kWrite || (request.type == LockType::kRead && type == LockType::kWrite);
    if (still) continue;
    const GivenUp what{owner, type, key.start, key.end, {}};
    if (FirstNote(what) != notes_.end()) given_up_.push_back(what);
  }
}

std::optional<FileLocks::GroupKey> FileLocks::TakeStale() {
  for (; !given_up_.empty(); given_up_.pop_front()) {
    GivenUp& what = given_up_.front();
    const auto it = FirstNote(what);
    if (it == notes_.end()) continue;
    what.after = *it;
    const GroupKey noted = std::get<3>(*it);
    Group& group = groups_.at(noted);
    ForgetBlocker(noted, group, group.blockers[0]->owner == what.owner ? 0 : 1);  // the note goes with it
    return noted;
  }
  return std::nullopt;
}

std::optional<RangeIndex::Entry> FileLocks::AnyBlocker(const GroupKey& key, std::optional<LockOwner> except) {
  if (key.type == LockType::kRead) return writes_.Any(key.start, key.end, except);
  const bool reads_first = writes_.Random() % 2 == 0;
  auto found = (reads_first ? reads_ : writes_).Any(key.start, key.end, except);
  return found ? found : (reads_first ? writes_ : reads_).Any(key.start, key.end, except);
}

void FileLocks::FindBlocker(const GroupKey& key, Group& group, size_t slot) {
  if (group.blockers[slot].has_value()) return;
  std::optional<LockOwner> except;
  if (slot == 1) except = group.blockers[0]->owner;
  const auto found = AnyBlocker(key, except);
  if (!found) return;
  const uint64_t from = std::max(found->start, key.start), to = std::min(found->end, key.end);
  const uint64_t point =
      to - from == UINT64_MAX ? writes_.Random() : from + writes_.Random() % (to - from + 1);
  group.blockers[slot] = Blocker{found->owner, point};
  notes_.insert(Note{found->owner, key.type, point, key});
}

void FileLocks::ForgetBlocker(const GroupKey& key, Group& group, size_t slot) {
  if (!group.blockers[slot].has_value()) return;
  notes_.erase(Note{group.blockers[slot]->owner, key.type, group.blockers[slot]->point, key});
  group.blockers[slot].reset();
  if (slot == 0) std::swap(group.blockers[0], group.blockers[1]);
}

const std::set<LockTicket>* FileLocks::FreeOf(const GroupKey& key, Group& group) {
  FindBlocker(key, group, 0);
  if (!group.blockers[0].has_value()) return &group.tickets;
  auto of_holder = group.by_owner.find(group.blockers[0]->owner);
  if (of_holder == group.by_owner.end()) return nullptr;
  FindBlocker(key, group, 1);
  return group.blockers[1].has_value() ? nullptr : &of_holder->second;
}

FileLocks::Free FileLocks::FreeWaiters(const GroupKey& key, LockTicket cursor) {
  Free out;
  auto found = groups_.find(key);
  if (found == groups_.end()) return out;
  const std::set<LockTicket>* free = FreeOf(key, found->second);
  if (free == nullptr || free->empty()) return out;
  if (auto it = free->upper_bound(cursor); it != free->end()) out.after = *it;
  if (*free->begin() <= cursor) out.before = *free->begin();
  return out;
}

}  // namespace kfs::meta

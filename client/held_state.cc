#include "client/held_state.h"

#include <algorithm>

#include "client/convert.h"

namespace kfs {
namespace {

constexpr size_t kLossesMax = 1000000;

bool SameOwner(const FileLock& a, const FileLock& b) { return a.owner == b.owner && a.flock == b.flock; }
bool Overlap(const FileLock& a, const FileLock& b) { return a.start <= b.end && b.start <= a.end; }

template <typename Pred>
void DropLocks(std::unordered_map<Ino, std::vector<FileLock>>& locks, Ino ino, Pred pred) {
  auto it = locks.find(ino);
  if (it == locks.end()) return;
  std::erase_if(it->second, pred);
  if (it->second.empty()) locks.erase(it);
}

}  // namespace

void HeldState::Opened(const FileHandlePtr& handle, uint32_t rights) {
  Opens& opens = opens_[handle->ino()];
  opens.handles.insert(handle);
  opens.rights |= rights;
}

void HeldState::Proven(Ino ino, const pb::OpenProof& proof) {
  pb::OpenProof& kept = opens_.at(ino).proof;
  if (kept.mac().empty() || (proof.rights() & kept.rights()) == kept.rights()) kept = proof;
}

bool HeldState::Released(const FileHandlePtr& handle) {
  auto it = opens_.find(handle->ino());
  if (it == opens_.end() || it->second.handles.erase(handle) == 0) return false;
  if (it->second.handles.empty()) opens_.erase(it);
  return true;
}

size_t HeldState::opens(Ino ino) const {
  auto it = opens_.find(ino);
  return it == opens_.end() ? 0 : it->second.handles.size();
}

void HeldState::Lose(const Opens& opens) {
  for (const FileHandlePtr& handle : opens.handles) handle->lost_ = true;
}

void HeldState::ApplyLock(Ino ino, const FileLock& lock) {
  std::vector<FileLock> kept;
  FileLock merged = lock;
  for (const FileLock& old : locks_[ino]) {
    if (!SameOwner(old, lock)) {
      kept.push_back(old);
      continue;
    }
    const bool touches = Overlap(old, lock) || (old.end != UINT64_MAX && old.end + 1 == lock.start) ||
                         (lock.end != UINT64_MAX && lock.end + 1 == old.start);
    if (touches && old.type == lock.type) {  // grows into one range
      merged.start = std::min(merged.start, old.start);
      merged.end = std::max(merged.end, old.end);
      continue;
    }
    if (!Overlap(old, lock)) {
      kept.push_back(old);
      continue;
    }
    if (old.start < lock.start) {
      kept.push_back(old);
      kept.back().end = lock.start - 1;
    }
    if (old.end > lock.end) {
      kept.push_back(old);
      kept.back().start = lock.end + 1;
    }
  }
  if (lock.type != FileLock::kUnlock) kept.push_back(merged);
  if (kept.empty()) {
    locks_.erase(ino);
  } else {
    locks_[ino] = std::move(kept);
  }
}

void HeldState::DropFlock(Ino ino, uint64_t owner) {
  DropLocks(locks_, ino, [&](const FileLock& l) { return l.flock && l.owner == owner; });
}

void HeldState::DropPosixLocks(Ino ino, uint64_t owner) {
  DropLocks(locks_, ino, [&](const FileLock& l) { return !l.flock && l.owner == owner; });
}

std::vector<FileLock> HeldState::LocksIn(Ino ino, const FileLock& range) const {
  std::vector<FileLock> found;
  auto it = locks_.find(ino);
  if (it == locks_.end()) return found;
  for (FileLock lock : it->second) {
    if (!SameOwner(lock, range) || !Overlap(lock, range)) continue;
    lock.start = std::max(lock.start, range.start);
    lock.end = std::min(lock.end, range.end);
    found.push_back(lock);
  }
  return found;
}

size_t HeldState::lock_count() const {
  size_t n = 0;
  for (const auto& [ino, locks] : locks_) n += locks.size();
  return n;
}

void HeldState::SessionLost() {
  for (const auto& [ino, opens] : opens_) Lose(opens);
  opens_.clear();
  locks_.clear();
}

void HeldState::ChangesLost(std::optional<std::unordered_set<Ino>> of, MonoTime now) {
  const Loss loss{++epoch_, now};
  if (of && some_changes_.size() < kLossesMax) {
    for (Ino ino : *of) some_changes_[ino] = loss;
    return;
  }
  all_changes_ = loss;
  some_changes_.clear();
  created_since_.clear();
}

void HeldState::Created(Ino ino, MonoTime now) {
  some_changes_.erase(ino);
  if (all_changes_.in == 0) return;
  if (now - all_changes_.at < kTold && created_since_.size() < kLossesMax) {
    created_since_.insert(ino);
  } else {
    created_since_.clear();  // nobody is told any more
  }
}

const HeldState::Loss& HeldState::ChangesLostOf(Ino ino) const {
  static constexpr Loss kNone;
  const auto it = some_changes_.find(ino);
  if (it != some_changes_.end()) return it->second;
  return created_since_.contains(ino) ? kNone : all_changes_;
}

bool HeldState::ChangesLostSince(Ino ino, uint64_t opened_in) const {
  return opened_in < ChangesLostOf(ino).in;
}

bool HeldState::ChangesLostLately(Ino ino, MonoTime now) const {
  const Loss& loss = ChangesLostOf(ino);
  return loss.in != 0 && now - loss.at < kTold;
}

void HeldState::Vanished(Ino ino) {
  if (auto it = opens_.find(ino); it != opens_.end()) {
    Lose(it->second);
    opens_.erase(it);
  }
  locks_.erase(ino);
}

std::vector<pb::ReclaimRequest> HeldState::Reclaims(size_t batch) const {
  std::vector<pb::ReclaimRequest> messages(1);
  size_t n = 0;
  auto room = [&]() -> pb::ReclaimRequest& {
    if (n++ == batch) {
      messages.emplace_back();
      n = 1;
    }
    return messages.back();
  };
  for (const auto& [ino, opens] : opens_) {
    auto* open = room().add_open();
    open->set_ino(ino.v);
    open->set_count(static_cast<uint32_t>(opens.handles.size()));
    open->set_rights(opens.rights);
    if (!opens.proof.mac().empty()) *open->mutable_proof() = opens.proof;
  }
  for (const auto& [ino, locks] : locks_) {
    for (const FileLock& lock : locks) LockToPb(ino, lock, room().add_lock());
  }
  messages.back().set_last(true);
  return messages;
}

}  // namespace kfs

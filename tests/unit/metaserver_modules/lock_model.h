// What LockTable promises, written as simply as can be: for every byte of a small file, who holds it how.
// Unit test and fuzzer compare the two.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <list>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "metaserver/locks/lock_table.h"

namespace kfs::meta {

constexpr uint64_t kModelBytes = 24;  // the last one stands for everything up to the end of the file

inline uint64_t RealEnd(uint64_t byte) { return byte == kModelBytes - 1 ? UINT64_MAX : byte; }

class LockModel {
 public:
  using Outcome = LockTable::Outcome;
  struct Waiting {
    uint64_t id;
    Ino ino;
    LockOwner owner;
    LockRequest request;  // start and end as bytes of the model
  };
  using Grants = std::vector<std::pair<uint64_t, int>>;  // waiter, errno

  Outcome Set(Ino ino, LockOwner owner, const LockRequest& r, bool wait, uint64_t id, Grants* grants) {
    if (r.flock && r.type != LockType::kUnlock) {
      auto own = flocks_[ino].find(owner);
      if (own != flocks_[ino].end() && own->second != r.type) flocks_[ino].erase(own);
    }
    Outcome outcome = Outcome::kGranted;
    std::set<LockOwner> blockers = Blockers(ino, owner, r);
    if (blockers.empty()) {
      Apply(ino, owner, r);
    } else if (!wait) {
      outcome = Outcome::kConflict;
    } else if (!r.flock && Circle(owner, blockers)) {
      outcome = Outcome::kDeadlock;
    } else {
      waiting_.push_back({id, ino, owner, r});
      outcome = Outcome::kWaiting;
    }
    Grant(grants);
    return outcome;
  }

  void ReleaseOwner(Ino ino, LockOwner owner, bool flock, Grants* grants) {
    Apply(ino, owner, {.type = LockType::kUnlock, .flock = flock, .start = 0, .end = kModelBytes - 1});
    if (flock) {
      EraseWaiting([&](const Waiting& w) { return w.request.flock && w.ino == ino && w.owner == owner; },
                   EINTR, grants);
    }
    Grant(grants);
  }

  void ReleaseSession(SessionId session, Grants* grants) {
    EraseWaiting([&](const Waiting& w) { return w.owner.session == session; }, EIO, grants);
    auto of_session = [&](const auto& entry) { return entry.first.session == session; };
    for (auto& [ino, locks] : flocks_) std::erase_if(locks, of_session);
    for (auto& [ino, bytes] : records_) {
      for (auto& byte : bytes) std::erase_if(byte, of_session);
    }
    Grant(grants);
  }

  bool Cancel(SessionId session, uint64_t id, Grants* grants) {
    const size_t before = grants->size();
    EraseWaiting([&](const Waiting& w) { return w.owner.session == session && w.id == id; }, EINTR, grants);
    return grants->size() != before;
  }

  bool Blocked(Ino ino, LockOwner owner, const LockRequest& r) { return !Blockers(ino, owner, r).empty(); }

  // How `owner` holds each byte ('-', 'r', 'w'), or the file.
  std::string Show(Ino ino, LockOwner owner, bool flock) {
    auto letter = [](LockType t) { return t == LockType::kRead ? 'r' : 'w'; };
    if (flock) {
      auto it = flocks_[ino].find(owner);
      return std::string(1, it == flocks_[ino].end() ? '-' : letter(it->second));
    }
    std::string out;
    for (auto& byte : records_[ino]) out += byte.contains(owner) ? letter(byte[owner]) : '-';
    return out;
  }

  size_t Waiters() const { return waiting_.size(); }

 private:
  static bool Conflict(LockType a, LockType b) {
    return a != LockType::kUnlock && b != LockType::kUnlock &&
           (a == LockType::kWrite || b == LockType::kWrite);
  }

  std::set<LockOwner> Blockers(Ino ino, LockOwner owner, const LockRequest& r) {
    std::set<LockOwner> out;
    auto look = [&](const std::map<LockOwner, LockType>& holders) {
      for (auto& [holder, type] : holders) {
        if (holder != owner && Conflict(type, r.type)) out.insert(holder);
      }
    };
    if (r.flock) {
      look(flocks_[ino]);
    } else {
      for (uint64_t b = r.start; b <= r.end; ++b) look(records_[ino][b]);
    }
    return out;
  }

  bool Circle(LockOwner owner, std::set<LockOwner> reach) {
    for (size_t size = 0; size != reach.size();) {
      size = reach.size();
      for (const Waiting& w : waiting_) {
        if (!w.request.flock && reach.contains(w.owner)) reach.merge(Blockers(w.ino, w.owner, w.request));
      }
    }
    return reach.contains(owner);
  }

  void Apply(Ino ino, LockOwner owner, const LockRequest& r) {
    auto put = [&](std::map<LockOwner, LockType>& holders) {
      holders.erase(owner);
      if (r.type != LockType::kUnlock) holders[owner] = r.type;
    };
    if (r.flock) {
      put(flocks_[ino]);
    } else {
      for (uint64_t b = r.start; b <= r.end; ++b) put(records_[ino][b]);
    }
  }

  template <typename Pred>
  void EraseWaiting(Pred pred, int err, Grants* grants) {
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      if (!pred(*it)) {
        ++it;
        continue;
      }
      grants->emplace_back(it->id, err);
      it = waiting_.erase(it);
    }
  }

  // By inode, then rounds in the order of arrival: the order in which the table promises its calls.
  void Grant(Grants* grants) {
    std::set<Ino> inos;
    for (const Waiting& w : waiting_) inos.insert(w.ino);
    for (Ino ino : inos) {
      for (bool again = true; again;) {
        again = false;
        for (auto it = waiting_.begin(); it != waiting_.end();) {
          if (it->ino != ino || Blocked(ino, it->owner, it->request)) {
            ++it;
            continue;
          }
          Apply(ino, it->owner, it->request);
          grants->emplace_back(it->id, 0);
          it = waiting_.erase(it);
          again = true;
        }
      }
    }
  }

  std::map<Ino, std::array<std::map<LockOwner, LockType>, kModelBytes>> records_;
  std::map<Ino, std::map<LockOwner, LockType>> flocks_;
  std::list<Waiting> waiting_;
};

// What the table says, in the words of LockModel::Show; empty when it contradicts itself.
inline std::string ShowTable(const LockTable& table, Ino ino, LockOwner owner, bool flock) {
  std::string out(flock ? 1 : kModelBytes, '-');
  for (const HeldLock& held : table.Held(ino, flock)) {
    if (held.owner != owner) continue;
    const char letter = held.type == LockType::kRead ? 'r' : 'w';
    if (flock) return std::string(1, letter);
    for (uint64_t b = held.start; b < kModelBytes && b <= held.end; ++b) {
      if (out[b] != '-') return "";  // ranges of one owner overlap
      out[b] = letter;
    }
    if (held.end >= kModelBytes - 1 && held.end != UINT64_MAX) return "";
  }
  return out;
}

}  // namespace kfs::meta

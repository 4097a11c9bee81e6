// Requests for locks that have ended early (by a signal, or a soft mount's time) and may be granted all the
// same. What they come to have is given back, and that must take nothing that their owner has asked for
// since:
//
//   ended early -> Begin -> answered -> granted: undone -> End -> what its owner asked for since is sent
//
// What it had asked for before and was granted meanwhile is asked for once more (undone()). Worker's thread
// only.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "common/types.h"

namespace kfs {

class LateLocks {
 public:
  struct Of {
    Ino ino;
    uint64_t owner = 0;
    bool flock = false;
    auto operator<=>(const Of&) const = default;
  };

  // One of them has ended before it was answered.
  void Begin(const Of& of) { ++late_[of].count; }
  // It is known what has become of it, and that is undone. REQUIRES: Begin.
  void End(const Of& of) {
    const auto it = late_.find(of);
    if (--it->second.count != 0) return;
    auto held = std::move(it->second.held);
    late_.erase(it);
    for (const auto& fn : held) fn();
  }
  // True: `fn` is run later, once none of them is late any more.
  bool HoldBack(const Of& of, std::function<void()> fn) {
    const auto it = late_.find(of);
    if (it == late_.end()) return false;
    it->second.held.push_back(std::move(fn));
    return true;
  }

  // How often anything was undone: who finds another number with its answer than when it was sent may have
  // lost again what it was granted.
  uint64_t undone() const { return undone_; }
  void NoteUndone() { ++undone_; }

 private:
  struct Late {
    size_t count = 0;
    std::deque<std::function<void()>> held;
  };
  std::map<Of, Late> late_;
  uint64_t undone_ = 0;
};

}  // namespace kfs

// The changes that the metaserver has answered with success lately, of those that it logs (proto/logged.h):
// what is concerned when it has lost power, and with it those that it had not made durable yet. Worker's
// thread only. Bounded in time and number.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_set>

#include "common/clock.h"
#include "common/types.h"
#include "proto/meta.pb.h"

namespace kfs {

// Up to two inodes that a change is made to; 0: none.
using Touched = std::array<Ino, 2>;

template <typename Request>
Touched TouchedBy(const Request& r) {
  Touched t{};
  if constexpr (requires { r.parent(); }) t[0] = Ino(r.parent());
  if constexpr (requires { r.new_parent(); }) {
    t[1] = Ino(r.new_parent());
  } else if constexpr (requires { r.ino(); }) {
    t[1] = Ino(r.ino());
  }
  return t;
}

// Which of the session's ops the metaserver's database has, as it says when it is told what the mount holds.
struct KnownOps {
  explicit KnownOps(const pb::ReclaimReply& reply);
  bool Has(uint64_t op_id) const;

  uint64_t highest = 0;
  // All up to `to` but `but`, and `later`. Not `exact`: all up to `highest`, says a metaserver of before.
  bool exact = false;
  uint64_t to = 0;
  std::unordered_set<uint64_t> but, later;
};

class RecentChanges {
 public:
  // All are durable after a second; a metaserver that is busy may take longer.
  static constexpr auto kKept = std::chrono::seconds(10);
  static constexpr size_t kMax = 65536;

  void Made(uint64_t op_id, const Touched& touched, MonoTime now);
  // The highest op id of them.
  uint64_t made() const { return made_; }
  // How many of them the metaserver does not know of.
  size_t Missing(const KnownOps& known) const;
  // The inodes that are concerned by those which the metaserver does not know of; none: they are not all kept
  // any more. From here on those are no longer among them.
  std::optional<std::unordered_set<Ino>> Lost(const KnownOps& known);

 private:
  void Drop();

  struct Change {
    uint64_t op_id = 0;
    Touched touched{};
    MonoTime at{};
  };
  std::deque<Change> changes_;  // in the order of their answers
  uint64_t made_ = 0;
  uint64_t dropped_ = 0;  // the highest op id that is not kept any more
};

}  // namespace kfs

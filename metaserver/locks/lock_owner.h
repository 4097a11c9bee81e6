// Whose an advisory lock is.
#pragma once

#include <compare>
#include <cstdint>

#include "common/types.h"

namespace kfs::meta {

// Record locks: the kernel's lock owner (a process's table of files); flock: the open file description.
struct LockOwner {
  SessionId session;
  uint64_t owner = 0;
  auto operator<=>(const LockOwner&) const = default;
};

}  // namespace kfs::meta

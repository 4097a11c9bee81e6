// What may change while a chunkserver runs: its own options, and what the cluster sets for all in their
// place.
#pragma once

#include <cstdint>

#include "common/clock.h"

namespace kfs {

struct Tunables {
  uint64_t reserve_bytes = 0;  // of each disk; 0: 1 % of it, at least 512 KiB, at most 64 MiB
  Duration inventory_interval = std::chrono::hours(1);
  int64_t inventory_rate = 5000;  // chunks in a second
  Duration garbage_keep = std::chrono::hours(24);
  Duration sync_interval = std::chrono::milliseconds(500);

  bool operator==(const Tunables&) const = default;
};

}  // namespace kfs

// Time is handed in, so that tests can drive it.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

#include "common/types.h"

namespace kfs {

using Duration = std::chrono::nanoseconds;
using MonoTime = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimeNs WallNow() const = 0;    // for stamps on files
  virtual MonoTime MonoNow() const = 0;  // for time-outs and leases
  // Milliseconds that go on while the machine sleeps: what tickets run out by (docs/fencing.md).
  virtual uint64_t BootMs() const {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(MonoNow().time_since_epoch()).count());
  }
};

// The machine's clocks. Thread-safe.
class SystemClock : public Clock {
 public:
  TimeNs WallNow() const override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  MonoTime MonoNow() const override { return std::chrono::steady_clock::now(); }
  uint64_t BootMs() const override {
    timespec ts{};
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return static_cast<uint64_t>(ts.tv_sec) * 1000 + static_cast<uint64_t>(ts.tv_nsec) / 1000000;
  }
};

}  // namespace kfs

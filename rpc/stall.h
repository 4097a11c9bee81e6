// Ticks of event loops that took too long: while one runs, nobody else on its loop is served. Each is a log
// line (`loop.stalled`, with what ran longest in it) and counted. Always on: it costs a look at the clock a
// tick, and two for each part that is named.
//
//   EventLoop        TickBegins, once something runs; TickEnds
//   whoever serves   { RanPart part("Lookup"); handler(...); }
//
// A tick that took long with little of the processor's time (cpu_ms) waited for a disk, or for a turn on a
// busy or paused machine.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/clock.h"

namespace kfs {

constexpr auto kStall = std::chrono::milliseconds(50);

// ---- of this thread's loop
void TickBegins();  // does nothing when the tick has begun
void TickEnds();

// Names what runs until it is destroyed. `what` has to live as long. Parts may be nested.
class RanPart {
 public:
  explicit RanPart(std::string_view what);
  ~RanPart();
  RanPart(const RanPart&) = delete;
  RanPart& operator=(const RanPart&) = delete;

 private:
  const std::string_view what_;
  const MonoTime begin_;
};

// ---- any thread: of all loops of the process, since it began
uint64_t LoopStalls();
uint64_t LoopStallMicros();

}  // namespace kfs

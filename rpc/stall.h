// Ticks of event loops that took too long: while one runs, nobody else on its loop is served. Each is a log
// line (`loop.stalled`, with what ran longest in it) and counted. Always on: it costs a look at the clock a
// tick, and two for each part that is named.
//
//   EventLoop        TickBegins, once something runs; TickEnds
//   whoever serves   { RanPart part("Lookup"); handler(...); }
//
// What a tick took is its time without that in which the thread was ready to run and had no processor
// (queued_ms): a busy machine is not what is looked for. Long with little of the processor's time (cpu_ms), it
// waited for a disk or a lock, or the machine was paused. Who holds a lock may wait for a processor, too: where
// many do (busy, in percent of the last ten seconds), such a wait says little.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/clock.h"

namespace kfs {

constexpr auto kStall = std::chrono::milliseconds(50);

// ---- of this thread's loop
void TickBegins();  // does nothing when the tick has begun
void TickEnds();

// Names what runs until it is destroyed. `what` has to live as long. Parts may be nested: `around` others, it
// is named only when most of its time is not theirs.
class RanPart {
 public:
  explicit RanPart(std::string_view what, bool around = false);
  ~RanPart();
  RanPart(const RanPart&) = delete;
  RanPart& operator=(const RanPart&) = delete;

 private:
  const std::string_view what_;
  const bool around_;
  const MonoTime begin_;
};

// ---- any thread: of all loops of the process, since it began
uint64_t LoopStalls();
uint64_t LoopStallMicros();  // what they took

}  // namespace kfs

#include "rpc/stall.h"

#include <time.h>

#include <atomic>

#include "common/log.h"

namespace kfs {
namespace {

std::atomic<uint64_t> g_stalls{0}, g_stall_micros{0};

// The thread's processor time costs a system call, so it is not read each tick: what a stalled one is told to
// have used may be too much by this.
constexpr auto kCpuSample = std::chrono::milliseconds(5);

struct Tick {
  bool begun = false;
  MonoTime at{};
  std::string_view longest;
  Duration longest_time{};
  uint64_t parts = 0;
};
struct CpuSample {
  MonoTime at{};
  int64_t cpu_ns = 0;
};
thread_local CpuSample t_cpu;

thread_local Tick t_tick;

MonoTime Now() { return std::chrono::steady_clock::now(); }

int64_t ThreadCpuNs() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

int64_t Ms(Duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); }

}  // namespace

void TickBegins() {
  if (t_tick.begun) return;
  t_tick = {};
  t_tick.begun = true;
  t_tick.at = Now();
  if (t_tick.at - t_cpu.at > kCpuSample) t_cpu = {t_tick.at, ThreadCpuNs()};
}

void TickEnds() {
  if (!t_tick.begun) return;
  t_tick.begun = false;
  const Duration took = Now() - t_tick.at;
  if (took < kStall) return;
  g_stalls.fetch_add(1, std::memory_order_relaxed);
  g_stall_micros.fetch_add(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()),
      std::memory_order_relaxed);
  KFS_LOG(warn, "loop.stalled ms={} cpu_ms={} longest={} longest_ms={} parts={}", Ms(took),
          (ThreadCpuNs() - t_cpu.cpu_ns) / 1'000'000, t_tick.longest.empty() ? "?" : t_tick.longest,
          Ms(t_tick.longest_time), t_tick.parts);
}

RanPart::RanPart(std::string_view what) : what_(what), begin_(Now()) {}

RanPart::~RanPart() {
  const Duration took = Now() - begin_;
  ++t_tick.parts;
  if (took < t_tick.longest_time) return;
  t_tick.longest = what_;
  t_tick.longest_time = took;
}

uint64_t LoopStalls() { return g_stalls.load(std::memory_order_relaxed); }
uint64_t LoopStallMicros() { return g_stall_micros.load(std::memory_order_relaxed); }

}  // namespace kfs

#include "rpc/stall.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>

#include "common/log.h"

namespace kfs {
namespace {

std::atomic<uint64_t> g_stalls{0}, g_stall_micros{0};

// How long this thread has run, and has waited for a processor, since it began. The kernel's own count of it;
// without one nothing counts as waiting.
struct ThreadTimes {
  Duration ran{}, queued{};
};
class SchedStat {
 public:
  SchedStat() : fd_(open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}
  ~SchedStat() {
    if (fd_ >= 0) close(fd_);
  }
  SchedStat(const SchedStat&) = delete;
  SchedStat& operator=(const SchedStat&) = delete;

  ThreadTimes Read() const {
    char text[96];
    const ssize_t n = fd_ < 0 ? -1 : pread(fd_, text, sizeof(text), 0);
    uint64_t ran = 0, queued = 0;
    if (n <= 0) return {};
    const char* const end = text + n;
    const auto first = std::from_chars(text, end, ran);
    if (first.ec != std::errc() || first.ptr == end) return {};
    std::from_chars(first.ptr + 1, end, queued);
    return {std::chrono::nanoseconds(ran), std::chrono::nanoseconds(queued)};
  }

 private:
  const int fd_;
};

// Reading them costs a system call, so it is not done each tick: what a stalled one is told to have used, or
// waited, may be too much by this.
constexpr auto kSample = std::chrono::milliseconds(5);

struct Tick {
  bool begun = false;
  MonoTime at{};
  std::string_view longest;
  Duration longest_time{};
  uint64_t parts = 0;
};
struct Sample {
  MonoTime at{};
  ThreadTimes times;
};
thread_local const SchedStat t_sched;
thread_local Sample t_sample;
thread_local Tick t_tick;

MonoTime Now() { return std::chrono::steady_clock::now(); }

// How much of the last ten seconds somebody on this machine waited for a processor, in percent; -1: not known.
int MachineBusy() {
  const int fd = open("/proc/pressure/cpu", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  char text[64] = "";
  const ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
  close(fd);
  constexpr std::string_view kBegin = "some avg10=";
  const std::string_view said(text, n < 0 ? 0 : static_cast<size_t>(n));
  int percent = -1;
  if (said.starts_with(kBegin)) std::from_chars(text + kBegin.size(), text + said.size(), percent);
  return percent;
}

int64_t Ms(Duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); }

}  // namespace

void TickBegins() {
  if (t_tick.begun) return;
  t_tick = {};
  t_tick.begun = true;
  t_tick.at = Now();
  if (t_tick.at - t_sample.at > kSample) t_sample = {t_tick.at, t_sched.Read()};
}

void TickEnds() {
  if (!t_tick.begun) return;
  t_tick.begun = false;
  const Duration lasted = Now() - t_tick.at;
  if (lasted < kStall) return;
  const ThreadTimes times = t_sched.Read();
  const Duration queued = times.queued - t_sample.times.queued;
  const Duration took = lasted - std::min(queued, lasted);
  if (took < kStall) return;
  g_stalls.fetch_add(1, std::memory_order_relaxed);
  g_stall_micros.fetch_add(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()),
      std::memory_order_relaxed);
  KFS_LOG(warn, "loop.stalled ms={} cpu_ms={} queued_ms={} busy={} longest={} longest_ms={} parts={}",
          Ms(took), Ms(times.ran - t_sample.times.ran), Ms(queued), MachineBusy(),
          t_tick.longest.empty() ? "?" : t_tick.longest, Ms(t_tick.longest_time), t_tick.parts);
}

RanPart::RanPart(std::string_view what, bool around) : what_(what), around_(around), begin_(Now()) {}

RanPart::~RanPart() {
  const Duration took = Now() - begin_;
  ++t_tick.parts;
  if (took < (around_ ? 2 * t_tick.longest_time : t_tick.longest_time)) return;
  t_tick.longest = what_;
  t_tick.longest_time = took;
}

uint64_t LoopStalls() { return g_stalls.load(std::memory_order_relaxed); }
uint64_t LoopStallMicros() { return g_stall_micros.load(std::memory_order_relaxed); }

}  // namespace kfs

// Gives memory back to the system after a burst. malloc keeps what is freed: gigabytes that a flood of
// requests took would stay the process's for good, with nothing in use.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>

namespace kfs {

class MemoryTrimmer {
 public:
  // Starts a thread that looks every few seconds and returns what is free when that is more than kKeep: to
  // return it takes time, which is nobody's but that thread's. Limits the number of malloc's arenas, too, as
  // each keeps its own. REQUIRES: signals that the process minds are blocked by now.
  MemoryTrimmer();
  ~MemoryTrimmer();
  MemoryTrimmer(const MemoryTrimmer&) = delete;
  MemoryTrimmer& operator=(const MemoryTrimmer&) = delete;

  static constexpr size_t kKeep = 64u << 20;

  // One look. True: something was returned. `left`: what was resident after the last time, 0 at first; what
  // could not be returned then, being scattered, is not tried again.
  static bool TrimIfMuchIsFree(size_t* left);

 private:
  std::mutex mutex_;  // guards stop_
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace kfs

#include "rpc/stall.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <time.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "common/log.h"
#include "tests/unit/rpc/on_loop.h"

namespace kfs {
namespace {

Duration CpuTime() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

// So much of the processor, however long that takes.
void Busy(Duration time) {
  const Duration until = CpuTime() + time;
  while (CpuTime() < until) {
  }
}

void ExpectCounted(std::function<void()> slow) {
  uint64_t stalls = 0, micros = 0;
  {
    LoopThread thread("test");
    OnLoop(thread.loop(), [] {});
    stalls = LoopStalls(), micros = LoopStallMicros();
    OnLoop(thread.loop(), [&slow] {
      const RanPart part("Lookup");
      slow();
    });
  }  // the tick has ended with its thread
  EXPECT_GE(LoopStalls(), stalls + 1);
  // What the scheduler counts is not of the same moment.
  EXPECT_GE(LoopStallMicros(), micros + 90'000);
}

TEST(StallTest, ALongTickIsCountedWithItsTime) {
  ExpectCounted([] { Busy(2 * kStall); });
}

// As for a disk.
TEST(StallTest, ATickThatWaitsIsCountedWithItsTime) {
  ExpectCounted([] { std::this_thread::sleep_for(2 * kStall); });
}

// Beside others on one processor, a tick with little to do takes long.
TEST(StallTest, WaitingForAProcessorIsNoStall) {
  cpu_set_t all, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);  // what is started from here on inherits it
  LoopThread thread("test");
  OnLoop(thread.loop(), [] {});
  std::atomic<bool> done{false};
  std::vector<std::thread> others;
  for (int i = 0; i < 9; ++i) {
    others.emplace_back([&done] {
      while (!done) {
      }
    });
  }
  const uint64_t stalls = LoopStalls();
  Duration took{};
  OnLoop(thread.loop(), [&took] {
    const MonoTime began = std::chrono::steady_clock::now();
    Busy(std::chrono::milliseconds(20));
    took = std::chrono::steady_clock::now() - began;
  });
  OnLoop(thread.loop(), [] {});  // that tick has ended
  EXPECT_GE(took, kStall);
  EXPECT_EQ(LoopStalls(), stalls);
  done = true;
  for (std::thread& t : others) t.join();
  ASSERT_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
}

TEST(StallTest, WaitingForWorkIsNoStall) {
  LoopThread thread("test");
  OnLoop(thread.loop(), [] {});
  const uint64_t micros = LoopStallMicros();
  std::promise<void> rang;
  EventLoop::Timer timer;
  OnLoop(thread.loop(),
         [&] { timer = thread.loop().RunAfter(std::chrono::seconds(2), [&] { rang.set_value(); }); });
  rang.get_future().wait();
  OnLoop(thread.loop(), [] {});
  EXPECT_LT(LoopStallMicros(), micros + 2'000'000) << "what the machine itself stole is less";
}

}  // namespace
}  // namespace kfs

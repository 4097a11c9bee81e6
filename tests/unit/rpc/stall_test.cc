#include "rpc/stall.h"

#include <gtest/gtest.h>
#include <time.h>

#include "common/log.h"
#include "tests/unit/rpc/on_loop.h"

namespace kfs {
namespace {

void Busy(Duration time) {
  const MonoTime until = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < until) {
  }
}

TEST(StallTest, ALongTickIsCountedWithItsTime) {
  uint64_t stalls = 0, micros = 0;
  {
    LoopThread thread("test");
    OnLoop(thread.loop(), [] {});
    stalls = LoopStalls(), micros = LoopStallMicros();
    OnLoop(thread.loop(), [] {
      const RanPart part("Lookup");
      Busy(2 * kStall);
    });
  }  // the tick has ended with its thread
  EXPECT_GE(LoopStalls(), stalls + 1);
  EXPECT_GE(LoopStallMicros(), micros + 100'000);
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

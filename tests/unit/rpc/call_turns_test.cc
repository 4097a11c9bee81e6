#include "rpc/call_turns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/rpc/on_loop.h"

namespace kfs {
namespace {

class CallTurnsTest : public testing::Test {
 protected:
  CallTurnsTest() {
    OnLoop(loop(), [this] { turns_ = std::make_unique<CallTurns>(loop()); });
  }
  ~CallTurnsTest() override {
    OnLoop(loop(), [this] { turns_.reset(); });
  }
  EventLoop& loop() { return thread_.loop(); }
  // Keeps the loop for `takes`.
  void Add(int who, const std::string& what, Duration takes = {}) {
    turns_->Run(Who(who), [this, what, takes] {
      ran_.push_back(what);
      const auto until = std::chrono::steady_clock::now() + takes;
      while (std::chrono::steady_clock::now() < until) {
      }
    });
  }
  static const void* Who(int who) { return reinterpret_cast<const void*>(static_cast<uintptr_t>(who)); }
  size_t WaitUntilAllRan() {
    size_t ticks = 0, left = 1;
    for (; left > 0; ++ticks) OnLoop(loop(), [&] { left = turns_->waiting(); });
    return ticks;
  }
  size_t PlaceOf(const std::string& what) const {
    return static_cast<size_t>(std::find(ran_.begin(), ran_.end(), what) - ran_.begin());
  }

  LoopThread thread_{"test"};
  std::unique_ptr<CallTurns> turns_;
  std::vector<std::string> ran_;
};

TEST_F(CallTurnsTest, WhatTakesLittleRunsAtOnce) {
  OnLoop(loop(), [this] {
    Add(1, "a");
    Add(1, "b");
    EXPECT_EQ(ran_, (std::vector<std::string>{"a", "b"}));
  });
}

TEST_F(CallTurnsTest, OneGoesBeforeAThousandThatCameEarlierAndEachKeepsItsOrder) {
  OnLoop(loop(), [this] {
    for (int i = 0; i < 1000; ++i) Add(1, "a" + std::to_string(i), std::chrono::microseconds(100));
    EXPECT_LT(ran_.size(), 10u);
    EXPECT_GT(turns_->waiting(), 900u);
    Add(2, "b0");
    Add(2, "b1");
  });
  EXPECT_GT(WaitUntilAllRan(), 10u) << "others are listened to in between";
  ASSERT_EQ(ran_.size(), 1002u);
  EXPECT_LT(PlaceOf("b1"), 20u);
  EXPECT_LT(PlaceOf("b0"), PlaceOf("b1"));
  for (int i = 1; i < 1000; ++i)
    EXPECT_LT(PlaceOf("a" + std::to_string(i - 1)), PlaceOf("a" + std::to_string(i)));
}

TEST_F(CallTurnsTest, CheapOnesTakeTurnsToo) {
  OnLoop(loop(), [this] {
    for (int i = 0; i < 100000; ++i) Add(1, "ping");
    EXPECT_LT(ran_.size(), 1000u);
  });
  WaitUntilAllRan();
  EXPECT_EQ(ran_.size(), 100000u);
}

TEST_F(CallTurnsTest, WhatACallBringsWithItComesBehindIt) {
  OnLoop(loop(), [this] {
    Add(1, "long", CallTurns::kAtOnce);
    turns_->Run(Who(1), [this] {
      ran_.push_back("first");
      Add(1, "third");
      Add(2, "other");
    });
    Add(1, "second");
  });
  WaitUntilAllRan();
  EXPECT_EQ(ran_.size(), 5u);
  EXPECT_LT(PlaceOf("first"), PlaceOf("second"));
  EXPECT_LT(PlaceOf("second"), PlaceOf("third"));
}

TEST_F(CallTurnsTest, WhatWaitsIsDroppedWithTheServer) {
  OnLoop(loop(), [this] {
    for (int i = 0; i < 100; ++i) Add(1, "a", std::chrono::microseconds(100));
    turns_.reset();
  });
  const size_t ran = ran_.size();
  OnLoop(loop(), [] {});
  OnLoop(loop(), [] {});
  EXPECT_EQ(ran_.size(), ran);
}

}  // namespace
}  // namespace kfs

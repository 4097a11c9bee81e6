#include "fuse/call_table.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

namespace kfs::fuse {
namespace {

class CallTableTest : public testing::Test {
 protected:
  // Runs `fn` on the loop's thread, which is this one.
  void OnLoop(std::function<void()> fn) {
    loop_.Post([this, fn = std::move(fn)] {
      fn();
      loop_.Stop();
    });
    loop_.Run();
  }

  EventLoop loop_;
  std::vector<CallId> cancelled_;
  std::set<uint32_t> killed_;
  std::function<void()> on_cancel_;
  CallTable table_{loop_,
                   [this](CallId id) {
                     cancelled_.push_back(id);
                     if (on_cancel_) on_cancel_();
                   },
                   [this](uint32_t pid, Duration since) {
                     EXPECT_GE(since.count(), 0);
                     EXPECT_LT(since, std::chrono::minutes(10)) << "reckoned from nothing";
                     return killed_.contains(pid);
                   }};
};

TEST_F(CallTableTest, AnySignalEndsAWaitingLock) {
  OnLoop([&] {
    table_.Begin(1, 100, true);
    table_.SetId(1, 11);
    table_.Interrupt(1);
    EXPECT_EQ(cancelled_, (std::vector<CallId>{11}));
  });
}

TEST_F(CallTableTest, AHarmlessSignalEndsNothingElse) {
  OnLoop([&] {
    table_.Begin(1, 100, false);
    table_.SetId(1, 11);
    table_.Interrupt(1);
    EXPECT_TRUE(cancelled_.empty());
    EXPECT_EQ(table_.interrupted(), 1u);
    table_.End(1);
    EXPECT_EQ(table_.interrupted(), 0u);
    EXPECT_EQ(table_.size(), 0u);
  });
}

TEST_F(CallTableTest, AKilledCallerIsLetGoAtOnce) {
  OnLoop([&] {
    killed_.insert(100);
    table_.Begin(1, 100, false);
    table_.SetId(1, 11);
    table_.Interrupt(1);
    EXPECT_EQ(cancelled_, (std::vector<CallId>{11}));
  });
}

TEST_F(CallTableTest, AKillAfterAHarmlessSignalIsNoticed) {
  loop_.Post([&] {
    table_.Begin(1, 100, false);
    table_.SetId(1, 11);
    table_.Interrupt(1);
    killed_.insert(100);
  });
  on_cancel_ = [&] {
    table_.End(1);
    loop_.Stop();
  };
  loop_.Run();
  EXPECT_EQ(cancelled_, (std::vector<CallId>{11}));
}

TEST_F(CallTableTest, AnInterruptBeforeTheCallHasANameIsNotLost) {
  OnLoop([&] {
    table_.Begin(1, 100, true);
    table_.Interrupt(1);
    EXPECT_TRUE(cancelled_.empty());
    table_.SetId(1, 12);
    EXPECT_EQ(cancelled_, (std::vector<CallId>{12}));
  });
}

TEST_F(CallTableTest, WhatHasEndedIsUnknown) {
  OnLoop([&] {
    table_.Begin(1, 100, true);
    table_.End(1);
    table_.SetId(1, 11);
    table_.Interrupt(1);
    EXPECT_TRUE(cancelled_.empty());
    EXPECT_EQ(table_.size(), 0u);
  });
}

TEST(KillPending, ReadsBothSetsOfProcStatus) {
  EXPECT_FALSE(KillPendingIn("Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\n"));
  EXPECT_FALSE(KillPendingIn("Name:\tx\nSigPnd:\t0000000000002000\nShdPnd:\t0000000000000000\n"));
  EXPECT_TRUE(KillPendingIn("Name:\tx\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\n"));
  EXPECT_TRUE(KillPendingIn("Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000002100\n"));
  EXPECT_FALSE(KillPendingIn(""));
}

TEST(KillPending, OfLivingUnknownAndDeadThreads) {
  EXPECT_FALSE(KillPending(static_cast<uint32_t>(getpid())));
  EXPECT_FALSE(KillPending(0));
  EXPECT_TRUE(KillPending(0x7fffffff));
}

}  // namespace
}  // namespace kfs::fuse

// What a call may cost when others hold and wait for thousands of locks on the same file: the thread is
// everyone's. Measured in the thread's own time, so that a busy machine changes nothing.
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <functional>
#include <string>

#include "metaserver/locks/lock_table.h"

namespace kfs::meta {
namespace {

constexpr Ino kCostFile{10};
constexpr uint64_t kHeld = 20000, kWaiting = 8000;
// Nearly all take less than 50 us in a debug build; looking at all that waits would take seconds. Sanitizers
// watch each access.
#ifndef __has_feature
#define __has_feature(x) 0  // of clang, with which sanitizers are built
#endif
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr double kMicrosPerCallMax = 200'000;
#else
constexpr double kMicrosPerCallMax = 2000;
#endif

LockRequest Request(LockType type, uint64_t start, uint64_t end) {
  return {.type = type, .start = start, .end = end};
}

class LockTableCostTest : public testing::Test {
 protected:
  static double Micros() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
  }
  // Runs call(i) for each i, and says what one took on average.
  template <typename Fn>
  static void Expect(const char* what, uint64_t calls, Fn call) {
    const double begin = Micros();
    for (uint64_t i = 0; i < calls; ++i) call(i);
    const double each = (Micros() - begin) / static_cast<double>(calls);
    std::printf("%-60s %8.1f us a call\n", what, each);
    EXPECT_LT(each, kMicrosPerCallMax) << what;
  }
  void Wait(uint64_t owner, const LockRequest& request) {
    ASSERT_EQ(
        table_.Set(
            kCostFile, {SessionId(1), owner}, request, true, [this](Status s) { granted_ += s.ok(); }, ++id_),
        LockTable::Outcome::kWaiting);
  }
  void Lock(uint64_t owner, const LockRequest& request) {
    ASSERT_EQ(table_.Set(kCostFile, {SessionId(1), owner}, request), LockTable::Outcome::kGranted);
  }

  LockTable table_{1};
  uint64_t id_ = 0, granted_ = 0;
};

TEST_F(LockTableCostTest, ManyWaitForTheWholeFile) {
  Expect("one owner locks every second byte", kHeld,
         [&](uint64_t i) { Lock(1, Request(LockType::kWrite, 2 * i, 2 * i)); });
  Expect("others wait for all of it", kWaiting,
         [&](uint64_t i) { Wait(10 + i, Request(LockType::kWrite, 0, UINT64_MAX)); });
  Expect("the owner unlocks byte after byte", kHeld,
         [&](uint64_t i) { Lock(1, Request(LockType::kUnlock, 2 * i, 2 * i)); });
  EXPECT_EQ(granted_, 1u);
  Expect("each unlocks and the next has it", kWaiting,
         [&](uint64_t i) { Lock(10 + i, Request(LockType::kUnlock, 0, UINT64_MAX)); });
  EXPECT_EQ(granted_, kWaiting);
}

TEST_F(LockTableCostTest, ManyWaitForDifferentRanges) {
  for (uint64_t i = 0; i < kHeld; ++i) Lock(1 + i % 2, Request(LockType::kWrite, i, i));
  Expect("others wait for ranges of their own", kWaiting,
         [&](uint64_t i) { Wait(10 + i, Request(LockType::kWrite, i, kHeld + i)); });
  Expect("two owners unlock byte after byte", kHeld,
         [&](uint64_t i) { Lock(1 + i % 2, Request(LockType::kUnlock, i, i)); });
  EXPECT_EQ(granted_, 1u);
  table_.ReleaseSession(SessionId(1));
  EXPECT_EQ(table_.waiters(), 0u);
}

TEST_F(LockTableCostTest, OneRangeIsGivenUpByteByByte) {
  Lock(1, Request(LockType::kWrite, 0, kHeld - 1));
  for (uint64_t i = 0; i < kWaiting; ++i) Wait(10 + i, Request(LockType::kRead, i, kHeld + i));
  Expect("an owner unlocks its range byte by byte", kHeld - 1,
         [&](uint64_t i) { Lock(1, Request(LockType::kUnlock, i, i)); });
  Expect("and grows and shrinks it", kHeld, [&](uint64_t i) {
    Lock(1, Request(i % 2 == 0 ? LockType::kWrite : LockType::kUnlock, kHeld, kHeld));
  });
}

TEST_F(LockTableCostTest, AnUpgradeAmongManyReaders) {
  for (uint64_t i = 0; i < kHeld; ++i) Lock(1, Request(LockType::kRead, 2 * i, 2 * i));
  for (uint64_t i = 0; i < kWaiting; ++i) Lock(10 + i, Request(LockType::kRead, 0, UINT64_MAX));
  Wait(1, Request(LockType::kWrite, 0, UINT64_MAX));
  Expect("a reader leaves; another, with many ranges, waits to write", kWaiting,
         [&](uint64_t i) { Lock(10 + i, Request(LockType::kUnlock, 0, UINT64_MAX)); });
  EXPECT_EQ(granted_, 1u);
}

TEST_F(LockTableCostTest, WhetherOwnersWaitForEachOther) {
  for (uint64_t i = 0; i < kHeld; ++i) Lock(10 + i % kWaiting, Request(LockType::kWrite, 2 * i, 2 * i));
  constexpr uint64_t kAsking = 500;  // each search may spend all that it has
  Expect("holders wait for one another", kAsking, [&](uint64_t i) {
    (void)table_.Set(
        kCostFile, {SessionId(1), 10 + i}, Request(LockType::kRead, 0, UINT64_MAX), true,
        [](const Status&) {}, ++id_);
  });
}

TEST_F(LockTableCostTest, ManyShareAFlock) {
  auto flock = [](LockType type) { return LockRequest{.type = type, .flock = true}; };
  for (uint64_t i = 0; i < kHeld; ++i) Lock(10 + i, flock(LockType::kRead));
  for (uint64_t i = 0; i < kWaiting; ++i) Wait(kHeld + 10 + i, flock(LockType::kWrite));
  Expect("who is to be asked for releases", kHeld,
         [&](uint64_t) { ASSERT_EQ(table_.FlockHolders(kCostFile).size(), 1u); });
  Expect("they close", kHeld, [&](uint64_t i) {
    table_.ReleaseOwner(kCostFile, {SessionId(1), 10 + i}, /*flock=*/true);
  });
  EXPECT_EQ(granted_, 1u);
}

// What one call may do grows with no number that somebody chooses: requests let go, ranges, groups.
class LockTableStepsTest : public LockTableCostTest {
 protected:
  LockTableStepsTest() {
    table_.InSteps([this] { ++asked_; }, [this](Ino) { ++settled_; });
  }
  void Timed(const std::function<void()>& call) {
    const double begin = Micros();
    call();
    longest_ = std::max(longest_, Micros() - begin);
  }
  void Settle() {
    for (bool more = true; more;) Timed([&] { more = table_.Step(); });
    std::printf("%-60s %8.1f us\n", "the longest step", longest_);
    EXPECT_LT(longest_, 10 * kMicrosPerCallMax);
    EXPECT_FALSE(table_.Settling(kCostFile));
  }
  void End() {
    table_.EndSession(SessionId(1));
    for (bool more = true; more;) Timed([&] { more = table_.ReleaseSome(SessionId(1)); });
    Settle();
    EXPECT_EQ(table_.CountOf(SessionId(1)), 0u);
  }
  double longest_ = 0;
  bool other_ = false;
  int asked_ = 0, settled_ = 0;
};

TEST_F(LockTableStepsTest, OneUnlockLetsAllReadersGo) {
  Lock(1, Request(LockType::kWrite, 0, UINT64_MAX));
  for (uint64_t i = 0; i < kHeld; ++i) Wait(10 + i, Request(LockType::kRead, 0, UINT64_MAX));
  Timed([&] { Lock(1, Request(LockType::kUnlock, 0, UINT64_MAX)); });
  EXPECT_TRUE(table_.Settling(kCostFile));
  EXPECT_GT(granted_, 0u);
  EXPECT_LE(granted_, LockTable::kStep);
  EXPECT_EQ(asked_, 1);
  Settle();
  EXPECT_EQ(granted_, kHeld);
  EXPECT_EQ(settled_, 1);
  End();
}

TEST_F(LockTableStepsTest, OneUnlockLetsRangesOfTheirOwnGo) {
  Lock(1, Request(LockType::kWrite, 0, UINT64_MAX));
  for (uint64_t i = 0; i < kHeld; ++i) Wait(10 + i, Request(LockType::kWrite, i, i));
  Timed([&] { Lock(1, Request(LockType::kUnlock, 0, UINT64_MAX)); });
  EXPECT_EQ(granted_, 0u) << "who came first is not known before all have been looked at";
  Settle();
  EXPECT_EQ(granted_, kHeld);
  End();
}

TEST_F(LockTableStepsTest, ASessionWithThousandsOfRangesAndRequestsEnds) {
  const auto of_other = [this](const LockRequest& request) {
    EXPECT_EQ(table_.Set(kCostFile, {SessionId(2), 1}, request, true, [this](Status s) { other_ = s.ok(); }),
              LockTable::Outcome::kWaiting);
  };
  for (uint64_t i = 0; i < kHeld; ++i) Lock(1 + i % 2, Request(LockType::kWrite, 2 * i, 2 * i));
  for (uint64_t i = 0; i < kWaiting; ++i) Wait(10 + i, Request(LockType::kWrite, i, i + kHeld));
  of_other(Request(LockType::kWrite, 0, UINT64_MAX));
  table_.EndSession(SessionId(1));
  do {
    EXPECT_FALSE(other_) << "something of it is still held";
  } while (table_.ReleaseSome(SessionId(1)));
  Settle();
  EXPECT_TRUE(other_);
  EXPECT_EQ(granted_, 0u);
  EXPECT_EQ(table_.waiters(), 0u);
}

}  // namespace
}  // namespace kfs::meta

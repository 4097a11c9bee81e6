#include "common/lifetime.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>

namespace kfs {
namespace {

TEST(LifetimeTest, WhatIsGuardedRunsWhileItLastsAndNotAfterwards) {
  int sum = 0;
  std::optional<Lifetime> lifetime(std::in_place);
  const std::function<void(int)> add = lifetime->While([&sum](int n) { sum += n; });
  add(1);
  add(2);
  lifetime.reset();
  add(4);
  EXPECT_EQ(sum, 3);
}

TEST(LifetimeTest, WhatIsStoppedRunsNoMore) {
  int runs = 0;
  Lifetime lifetime;
  const std::function<void()> run = lifetime.While([&runs] { ++runs; });
  const Lifetime::Watch watch = lifetime.watch();
  EXPECT_FALSE(watch.ended());
  lifetime.End();
  run();
  EXPECT_EQ(runs, 0);
  EXPECT_TRUE(watch.ended());
}

// As an answer that waits in a queue: its owner may end within it.
TEST(LifetimeTest, TheOwnerMayEndWithinAGuardedCall) {
  std::optional<Lifetime> lifetime(std::in_place);
  int runs = 0;
  const std::function<void()> end = lifetime->While([&] {
    lifetime.reset();
    ++runs;
  });
  end();
  end();
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace kfs

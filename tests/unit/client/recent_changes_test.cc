#include "client/recent_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kfs {
namespace {

using testing::UnorderedElementsAre;

constexpr MonoTime kNow{std::chrono::hours(1)};

TEST(RecentChanges, WhatTheMetaserverDoesNotKnowIsLost) {
  RecentChanges changes;
  changes.Made(1, {Ino(1), Ino(0)}, kNow);
  changes.Made(3, {Ino(5), Ino(6)}, kNow);
  changes.Made(2, {Ino(0), Ino(7)}, kNow);
  EXPECT_EQ(changes.made(), 3u);
  const auto lost = changes.Lost(1);
  ASSERT_TRUE(lost.has_value());
  EXPECT_THAT(*lost, UnorderedElementsAre(Ino(5), Ino(6), Ino(7)));
  EXPECT_EQ(changes.made(), 1u);
  EXPECT_TRUE(changes.Lost(1)->empty());
}

TEST(RecentChanges, WhatIsOldIsDurableButSaidWhenItIsNot) {
  RecentChanges changes;
  changes.Made(1, {Ino(1), Ino(0)}, kNow);
  changes.Made(2, {Ino(2), Ino(0)}, kNow + RecentChanges::kKept + std::chrono::seconds(1));
  EXPECT_THAT(*changes.Lost(1), UnorderedElementsAre(Ino(2)));
  EXPECT_FALSE(changes.Lost(0).has_value());
  EXPECT_EQ(changes.made(), 0u);
}

TEST(RecentChanges, AreBounded) {
  RecentChanges changes;
  for (uint64_t id = 1; id <= RecentChanges::kMax + 10; ++id) changes.Made(id, {Ino(id), Ino(0)}, kNow);
  EXPECT_FALSE(changes.Lost(9).has_value());
}

}  // namespace
}  // namespace kfs

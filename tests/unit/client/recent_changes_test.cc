#include "client/recent_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kfs {
namespace {

using testing::UnorderedElementsAre;

constexpr MonoTime kNow{std::chrono::hours(1)};

// As a metaserver of before says it.
KnownOps UpTo(uint64_t highest) {
  pb::ReclaimReply reply;
  reply.set_known(highest);
  return KnownOps(reply);
}

TEST(RecentChanges, WhatTheMetaserverDoesNotKnowIsLost) {
  RecentChanges changes;
  changes.Made(1, {Ino(1), Ino(0)}, kNow);
  changes.Made(3, {Ino(5), Ino(6)}, kNow);
  changes.Made(2, {Ino(0), Ino(7)}, kNow);
  EXPECT_EQ(changes.made(), 3u);
  const auto lost = changes.Lost(UpTo(1));
  ASSERT_TRUE(lost.has_value());
  EXPECT_THAT(*lost, UnorderedElementsAre(Ino(5), Ino(6), Ino(7)));
  EXPECT_EQ(changes.made(), 1u);
  EXPECT_TRUE(changes.Lost(UpTo(1))->empty());
}

TEST(RecentChanges, WhatIsOldIsDurableButSaidWhenItIsNot) {
  RecentChanges changes;
  changes.Made(1, {Ino(1), Ino(0)}, kNow);
  changes.Made(2, {Ino(2), Ino(0)}, kNow + RecentChanges::kKept + std::chrono::seconds(1));
  EXPECT_THAT(*changes.Lost(UpTo(1)), UnorderedElementsAre(Ino(2)));
  EXPECT_FALSE(changes.Lost(UpTo(0)).has_value());
  EXPECT_EQ(changes.made(), 0u);
  EXPECT_EQ(changes.Missing(UpTo(0)), 0u);
}

// As of ops that are executed in another order than that of their ids.
TEST(RecentChanges, WhatIsMissingAmongThoseThatAreKnownIsLost) {
  RecentChanges changes;
  for (uint64_t id = 1; id <= 6; ++id) changes.Made(id, {Ino(10 + id), Ino(0)}, kNow);
  pb::ReclaimReply reply;
  reply.set_known(6);
  reply.set_known_to(4);
  reply.add_not_known(2);
  reply.add_known_later(6);
  const KnownOps known(reply);
  EXPECT_EQ(changes.Missing(known), 2u);
  EXPECT_THAT(*changes.Lost(known), UnorderedElementsAre(Ino(12), Ino(15)));
  EXPECT_EQ(changes.Missing(known), 0u);
  EXPECT_THAT(*changes.Lost(UpTo(3)), UnorderedElementsAre(Ino(14), Ino(16)));
}

TEST(RecentChanges, AreBounded) {
  RecentChanges changes;
  for (uint64_t id = 1; id <= RecentChanges::kMax + 10; ++id) changes.Made(id, {Ino(id), Ino(0)}, kNow);
  EXPECT_FALSE(changes.Lost(UpTo(9)).has_value());
}

}  // namespace
}  // namespace kfs

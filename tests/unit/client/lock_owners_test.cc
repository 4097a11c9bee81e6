#include "client/lock_owners.h"

#include <gtest/gtest.h>

namespace kfs {
namespace {

TEST(RecordLockOwners, OnlyWhoAskedIsToldOfAndOnce) {
  RecordLockOwners t;
  EXPECT_FALSE(t.Drop(Ino(1), 10));
  t.Add(Ino(1), 10);
  t.Add(Ino(1), 10);
  t.Add(Ino(1), 11);
  EXPECT_FALSE(t.Drop(Ino(2), 10));
  EXPECT_TRUE(t.Drop(Ino(1), 10));
  EXPECT_FALSE(t.Drop(Ino(1), 10));
  EXPECT_TRUE(t.Drop(Ino(1), 11));
  EXPECT_EQ(t.size(), 0u);
}

}  // namespace
}  // namespace kfs

#include "common/reached.h"

#include <gtest/gtest.h>

namespace kfs {
namespace {

void Come(int by) {
  if (by == 1) KFS_REACHED("reached_test.one");
  if (by == 2) KFS_REACHED("reached_test.two");
  if (by == 3) KFS_REACHED("reached_test.two");
}

TEST(Reached, WhatIsNeverReachedIsInTheListToo) {
  const auto count = [](const char* name) { return ReachedPoints().at(name); };
  EXPECT_EQ(count("reached_test.one"), 0u);
  Come(0);
  EXPECT_EQ(count("reached_test.one"), 0u);
  Come(1);
  Come(1);
  EXPECT_EQ(count("reached_test.one"), 2u);
}

TEST(Reached, PlacesOfOneNameAreOnePoint) {
  Come(2);
  Come(3);
  EXPECT_EQ(ReachedPoints().at("reached_test.two"), 2u);
}

}  // namespace
}  // namespace kfs

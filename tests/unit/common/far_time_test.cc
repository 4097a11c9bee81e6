#include "common/far_time.h"

#include <gtest/gtest.h>

namespace kfs {
namespace {

void ExpectKept(timespec t) {
  const timespec back = ToTimespec(FarTimeOf(t));
  EXPECT_EQ(back.tv_sec, t.tv_sec);
  EXPECT_EQ(back.tv_nsec, t.tv_nsec);
}

TEST(FarTime, KeepsWhatItCan) {
  for (timespec t : {timespec{0, 0},
                     {0, 1},
                     {-1, 999999999},
                     {-1, 0},
                     {-2147483649, 5},
                     {-9000000000, 1},
                     {9223372036, 854775807},
                     {9223372036, 854775808},
                     {9223372037, 0},
                     {15032385535, 999999999},
                     {18446744072, 999999999}})
    ExpectKept(t);
}

TEST(FarTime, LeavesTimesWithin64BitsToThemselves) {
  EXPECT_EQ(FarTimeOf({9223372036, 854775807}).beyond, 0u);
  EXPECT_EQ(FarTimeOf({9223372036, 854775808}).ns, INT64_MAX);
  EXPECT_EQ(FarTimeOf({9223372036, 854775808}).beyond, 1u);
  EXPECT_EQ(ToTimespec({5, 1000}).tv_nsec, 5) << "beyond counts only beside INT64_MAX";
}

TEST(FarTime, TakesTheNearestForWhatLiesOutside) {
  EXPECT_EQ(ToTimespec(FarTimeOf({INT64_MAX, 5})).tv_sec, 18446744072);
  EXPECT_LT(ToTimespec(FarTimeOf({INT64_MIN, 5})).tv_sec, -9000000000);
  EXPECT_GT(ToTimespec({INT64_MAX, UINT64_MAX}).tv_sec, 18446744070) << "a peer's sum does not wrap";
}

}  // namespace
}  // namespace kfs

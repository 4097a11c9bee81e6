#include "client/op_ids.h"

#include <gtest/gtest.h>

namespace kfs {
namespace {

TEST(OpIds, IdsRiseFromOne) {
  OpIds ids;
  EXPECT_EQ(ids.Next(), 1u);
  EXPECT_EQ(ids.Next(), 2u);
  EXPECT_EQ(ids.acked(), 0u);
}

TEST(OpIds, WatermarkStopsAtTheFirstUnanswered) {
  OpIds ids;
  for (int i = 0; i < 4; ++i) ids.Next();
  ids.Answered(2);
  ids.Answered(3);
  EXPECT_EQ(ids.acked(), 0u);
  ids.Answered(1);
  EXPECT_EQ(ids.acked(), 3u);
  EXPECT_EQ(ids.unanswered(), 1u);
  ids.Answered(4);
  EXPECT_EQ(ids.acked(), 4u);
  EXPECT_EQ(ids.Next(), 5u);
}

}  // namespace
}  // namespace kfs

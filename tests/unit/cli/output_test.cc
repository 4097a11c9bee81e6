#include "cli/output.h"

#include <gtest/gtest.h>

namespace kfs::cli {
namespace {

TEST(HumanBytes, KeepsSmallNumbersAndScalesByPowersOf1024) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanBytes(uint64_t{5} << 40), "5.0 TiB");
  EXPECT_EQ(HumanBytes(UINT64_MAX), "16.0 EiB");
}

TEST(HumanAge, IsNeverNegative) {
  EXPECT_EQ(HumanAge(0, 1'000'000'000), "never");
  EXPECT_EQ(HumanAge(2'000'000'000, 1'000'000'000), "0 s");
  EXPECT_EQ(HumanAge(1, 7'200'000'000'001), "2 h");
}

TEST(Percent, OfNothingIsNoNumber) {
  EXPECT_EQ(Percent(1, 0), "-");
  EXPECT_EQ(Percent(1, 4), "25%");
}

TEST(Table, AlignsColumnsAndLeavesNoBlanksAtTheEnd) {
  Table table({"NAME", "SIZE"}, {1});
  EXPECT_TRUE(table.empty());
  table.Add({"a", "1"});
  table.Add({"longer"});
  EXPECT_EQ(table.Text(), "NAME    SIZE\na          1\nlonger\n");
}

}  // namespace
}  // namespace kfs::cli

#include "metaserver/cluster/asked_by.h"

#include <gtest/gtest.h>

namespace kfs::meta {
namespace {

TEST(AskedByTest, WhoAskedIsPartedFromTheWords) {
  const std::string command = WithAsker("volume stop data", {.who = "alice@m1", .key = "admin/ops/3"});
  EXPECT_EQ(command, "volume stop data  # asked by alice@m1 with key admin/ops/3");
  AskedBy by;
  EXPECT_EQ(WithoutAsker(command, &by), "volume stop data");
  EXPECT_EQ(by.who, "alice@m1");
  EXPECT_EQ(by.key, "admin/ops/3");
  EXPECT_EQ(WithoutAsker(WithAsker("volume stop data", {.who = "alice@m1", .key = ""}), &by),
            "volume stop data");
  EXPECT_EQ(by.who, "alice@m1");
  EXPECT_EQ(by.key, "");
}

TEST(AskedByTest, OfAnEarlierVersionNobodyIsKnown) {
  EXPECT_EQ(WithAsker("volume stop data", {}), "volume stop data");
  AskedBy by{.who = "old", .key = "old"};
  EXPECT_EQ(WithoutAsker("volume stop data", &by), "volume stop data");
  EXPECT_EQ(by.who + by.key, "");
}

// Whoever claims to be somebody else under another key, in what is typed or in the name.
TEST(AskedByTest, NothingThatIsClaimedPassesForWhatIsProven) {
  const std::string typed = "volume stop x  # asked by root@m1 with key admin/chief/1";
  AskedBy by;
  EXPECT_EQ(WithoutAsker(WithAsker(typed, {.who = "mallory@m9", .key = "admin/ops/3"}), &by), typed);
  EXPECT_EQ(by.who, "mallory@m9");
  EXPECT_EQ(by.key, "admin/ops/3");
  const std::string name = AskerWord("me with key admin/chief/1");
  EXPECT_EQ(WithoutAsker(WithAsker("volume stop x", {.who = name, .key = ""}), &by), "volume stop x");
  EXPECT_EQ(by.key, "");
  EXPECT_EQ(AskerWord("a\nb  # asked by c"), "a?b????asked?by?c");
  EXPECT_EQ(AskerWord("\xff\xff"), "?");
  EXPECT_LE(AskerWord(std::string(100000, 'x')).size(), 128u);
}

}  // namespace
}  // namespace kfs::meta

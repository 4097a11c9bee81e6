#include "metaserver/cluster/conf_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace kfs::meta {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Of = ConfOption::Of;
using Kind = ConfOption::Kind;

Status OfVolume(std::string_view name, std::string_view value) {
  return CheckConfOption(Of::kVolume, name, value);
}
Status OfCluster(std::string_view name, std::string_view value) {
  return CheckConfOption(Of::kCluster, name, value);
}
int64_t Value(Of of, std::string_view name, std::string_view value) {
  return ConfValue(*FindConfOption(of, name), value);
}

TEST(ConfOptions, EveryDefaultIsAllowedAndHasAHelp) {
  std::set<std::pair<Of, std::string_view>> names;
  for (const ConfOption& o : ConfOptions()) {
    EXPECT_TRUE(CheckConfOption(o.of, o.name, o.standard).ok()) << o.name;
    EXPECT_FALSE(o.help.empty()) << o.name;
    EXPECT_TRUE(names.insert({o.of, o.name}).second) << o.name << " is there twice";
    EXPECT_EQ(FindConfOption(o.of, o.name), &o);
  }
}

TEST(ConfOptions, ASwitchIsOnOrOff) {
  EXPECT_TRUE(OfVolume("read-only", "on").ok());
  EXPECT_TRUE(OfVolume("read-only", "off").ok());
  for (const char* bad : {"", "ON", "yes", "1", "on "}) {
    const Status s = OfVolume("read-only", bad);
    EXPECT_EQ(s.err(), EINVAL) << bad;
    EXPECT_EQ(s.message(), "option read-only=" + std::string(bad) + ": allowed is on or off");
  }
  EXPECT_EQ(Value(Of::kVolume, "read-only", "on"), 1);
  EXPECT_EQ(Value(Of::kVolume, "read-only", "off"), 0);
}

TEST(ConfOptions, AChoiceIsOneOfItsWords) {
  EXPECT_TRUE(OfVolume("atime", "relative").ok());
  EXPECT_TRUE(OfVolume("atime", "off").ok());
  for (const char* bad : {"", "relativ", "relative|off", "strict"})
    EXPECT_EQ(OfVolume("atime", bad).err(), EINVAL) << bad;
  EXPECT_THAT(OfVolume("atime", "never").message(), HasSubstr("allowed is relative or off"));
  EXPECT_EQ(Value(Of::kVolume, "atime", "off"), 1);
  EXPECT_EQ(Value(Of::kCluster, "chunkserver-admission", "command"), 1);
}

TEST(ConfOptions, ASizeIsAPowerOfTwoWithinItsBounds) {
  for (const char* good : {"64K", "64KiB", "65536", "1M", "1MiB", "1G", "1GiB"})
    EXPECT_TRUE(OfCluster("default-chunk-size", good).ok()) << good;
  for (const char* bad : {"", "32K", "2G", "3M", "1000000", "-1M", "1m", "M", "1 M", "1MM", "1.5M",
                          "9223372036854775807T", "99999999999999999999"})
    EXPECT_EQ(OfCluster("default-chunk-size", bad).err(), EINVAL) << bad;
  EXPECT_THAT(OfCluster("default-chunk-size", "3M").message(), HasSubstr("a power of two from 64K to 1024M"));
  EXPECT_EQ(Value(Of::kCluster, "default-chunk-size", "128K"), 128 << 10);
}

TEST(ConfOptions, NothingIsStoredBesideTheInodeYet) {
  EXPECT_TRUE(OfVolume("inline-max", "0").ok());
  EXPECT_TRUE(OfVolume("inline-max", "0K").ok());
  for (const char* larger : {"1GiB", "64M", "65537", "128K"}) {
    const Status s = OfVolume("inline-max", larger);
    EXPECT_EQ(s.err(), EINVAL) << larger;
    EXPECT_EQ(s.message(), "option inline-max=" + std::string(larger) + " exceeds 64KiB");
  }
  for (const char* none_yet : {"64K", "16KiB", "1"}) {
    const Status s = OfVolume("inline-max", none_yet);
    EXPECT_EQ(s.err(), EOPNOTSUPP) << none_yet;
    EXPECT_THAT(s.message(), HasSubstr("not stored beside the inode in this version: only 0"));
  }
  for (const char* bad : {"", "-1", "16k", "much"})
    EXPECT_EQ(OfVolume("inline-max", bad).err(), EINVAL) << bad;
  EXPECT_EQ(Value(Of::kVolume, "inline-max", "0"), 0);
}

TEST(ConfOptions, ATimeHasItsUnitAndItsBounds) {
  for (const char* good : {"0", "90", "90s", "5m", "2h", "30d"})
    EXPECT_TRUE(OfVolume("session-keep", good).ok()) << good;
  for (const char* bad : {"", "31d", "-5s", "5 m", "d", "1w", "1h30m", "9223372036854775807d"})
    EXPECT_EQ(OfVolume("session-keep", bad).err(), EINVAL) << bad;
  EXPECT_THAT(OfVolume("session-keep", "31d").message(),
              AllOf(HasSubstr("session-keep=31d"), HasSubstr("a time from 0s to 30d")));
  EXPECT_EQ(Value(Of::kVolume, "session-keep", "2h"), 7200);
}

TEST(ConfOptions, MillisecondsAreABareNumber) {
  EXPECT_TRUE(OfVolume("slow-op-ms", "1").ok());
  EXPECT_TRUE(OfVolume("slow-op-ms", "3600000").ok());
  for (const char* bad : {"", "0", "3600001", "-1", "10ms", "1s"})
    EXPECT_EQ(OfVolume("slow-op-ms", bad).err(), EINVAL) << bad;
  EXPECT_THAT(OfVolume("slow-op-ms", "0").message(), HasSubstr("allowed is 1 to 3600000"));
  EXPECT_EQ(Value(Of::kVolume, "slow-op-ms", "250"), 250);
}

TEST(ConfOptions, AnUnknownNameIsToldTheOnesOfItsKind) {
  EXPECT_THAT(
      OfVolume("read-onl", "on").message(),
      AllOf(HasSubstr("no option \"read-onl\" of a volume"), HasSubstr("atime, inline-max, read-only"),
            HasSubstr("user.NAME"), testing::Not(HasSubstr("chunkserver-admission"))));
  EXPECT_THAT(OfCluster("read-only", "on").message(),
              AllOf(HasSubstr("of a cluster"), HasSubstr("chunkserver-admission, default-chunk-size")));
  EXPECT_EQ(FindConfOption(Of::kCluster, "atime"), nullptr);
}

TEST(ConfOptions, NotesAreFreeWithinABound) {
  EXPECT_TRUE(OfVolume("user.owner", "the people on the third floor").ok());
  EXPECT_TRUE(OfCluster("user.x", std::string(1024, 'a')).ok());
  EXPECT_THAT(OfCluster("user.x", std::string(1025, 'a')).message(), HasSubstr("more than 1024 bytes"));
  EXPECT_EQ(OfVolume("user.", "a").err(), ENOENT);
  EXPECT_TRUE(OfVolume("user." + std::string(59, 'n'), "a").ok());
  EXPECT_EQ(OfVolume("user." + std::string(60, 'n'), "a").err(), ENOENT);
}

}  // namespace
}  // namespace kfs::meta

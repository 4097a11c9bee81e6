#include "metaserver/cluster/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory_store.h"

namespace kfs::meta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

pb::Change CreateVolume(const std::string& name, const std::string& owner = "m1") {
  pb::Change c;
  c.mutable_create_volume()->set_name(name);
  c.mutable_create_volume()->set_owner(owner);
  c.mutable_create_volume()->set_replicas(1);
  c.mutable_create_volume()->set_chunk_size(64 << 20);
  return c;
}

pb::ClusterConf Must(const pb::ClusterConf& conf, const pb::Change& change) {
  Result<pb::ClusterConf> next = Apply(conf, change, "t", "command");
  EXPECT_TRUE(next.ok()) << next.status().ToString();
  return next.ok() ? *next : conf;
}

TEST(Configuration, TheSameChangeGivesTheSameEverywhere) {
  const pb::ClusterConf conf = ThreeMembers();
  const pb::ClusterConf a = Must(conf, CreateVolume("data")), b = Must(conf, CreateVolume("data"));
  EXPECT_EQ(Checksum(a), Checksum(b));
  EXPECT_EQ(a.generation(), 8u);
  EXPECT_NE(Checksum(a), Checksum(Must(conf, CreateVolume("other"))));
}

TEST(Configuration, TheChecksumDoesNotDependOnTheOrderOfOptions) {
  pb::ClusterConf a, b;
  for (int i = 0; i < 50; ++i) (*a.mutable_option())[std::to_string(i)] = "v";
  for (int i = 49; i >= 0; --i) (*b.mutable_option())[std::to_string(i)] = "v";
  EXPECT_EQ(Checksum(a), Checksum(b));
}

TEST(Configuration, AVolumeGoesInTwoSteps) {
  pb::ClusterConf conf = Must(ThreeMembers(), CreateVolume("data"));
  EXPECT_EQ(Apply(conf, CreateVolume("data"), "t", "c").status().err(), EEXIST);
  EXPECT_EQ(Apply(conf, CreateVolume("more", "nobody"), "t", "c").status().err(), ENOENT);
  pb::Change drop, stop;
  drop.mutable_delete_volume()->set_name("data");
  stop.mutable_stop_volume()->set_name("data");
  EXPECT_THAT(Apply(conf, drop, "t", "c").status().message(), HasSubstr("stop it first"));
  const uint32_t id = FindVolume(conf, "data")->id();
  conf = Must(Must(conf, stop), drop);
  EXPECT_EQ(FindVolume(conf, "data"), nullptr);
  EXPECT_NE(FindVolume(Must(conf, CreateVolume("data")), "data")->id(), id);  // never used again
}

TEST(Configuration, APeerThatOwnsAVolumeStays) {
  const pb::ClusterConf conf = Must(ThreeMembers(), CreateVolume("data", "m2"));
  pb::Change detach;
  detach.mutable_remove_member()->set_uuid("m2");
  EXPECT_THAT(Apply(conf, detach, "t", "c").status().message(), HasSubstr("volume move data"));
  detach.mutable_remove_member()->set_uuid("m3");
  EXPECT_EQ(Must(conf, detach).member_size(), 2);
}

TEST(Configuration, VotesBelongToTheIncarnationThatRemembers) {
  const pb::ClusterConf conf = ThreeMembers();
  EXPECT_TRUE(HasVote(conf, "m1", 1));
  EXPECT_FALSE(HasVote(conf, "m1", 2));
  EXPECT_FALSE(HasVote(conf, "m9", 1));
  pb::Change readmit;
  readmit.mutable_readmit()->set_uuid("m1");
  readmit.mutable_readmit()->set_incarnation(2);
  const pb::ClusterConf next = Must(conf, readmit);
  EXPECT_TRUE(HasVote(next, "m1", 2));
  EXPECT_FALSE(HasVote(next, "m1", 1));
  readmit.mutable_readmit()->set_incarnation(2);
  EXPECT_FALSE(Apply(next, readmit, "t", "c").ok());  // it has lost nothing since
}

TEST(Configuration, DifferencesAreSaidInWords) {
  const pb::ClusterConf conf = Must(ThreeMembers(), CreateVolume("data"));
  pb::Change set;
  set.mutable_set_option()->set_volume("data");
  set.mutable_set_option()->set_name("session-keep");
  set.mutable_set_option()->set_value("2h");
  const pb::ClusterConf once = Must(conf, set);
  set.mutable_set_option()->set_value("1h");
  EXPECT_THAT(Differences(conf, once), ElementsAre("volume data: option session-keep: default -> 2h"));
  EXPECT_THAT(Differences(once, Must(once, set)), ElementsAre("volume data: option session-keep: 2h -> 1h"));
  EXPECT_THAT(Differences(ThreeMembers(), conf), ElementsAre("volume data: created, owner host1:7400"));
}

}  // namespace
}  // namespace kfs::meta

// Changes of who is a member, and who decides on them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "changes_fixture.h"

namespace kfs::meta {
namespace {

using testing::ElementsAre;

using MemberChanges = ChangesTest;

TEST_F(MemberChanges, AnAddressBelongsToOneMember) {
  pb::Change c;
  c.mutable_set_address()->set_uuid("m1");
  c.mutable_set_address()->set_address("host2:7400");
  EXPECT_EQ(Try(c).err(), EEXIST);
  c.mutable_set_address()->set_address("");
  EXPECT_EQ(Try(c).err(), EINVAL);
  c.mutable_set_address()->set_address("moved:7400");
  Must(c);
  EXPECT_EQ(FindMember(conf_, "m1")->address(), "moved:7400");
  c.mutable_set_address()->set_uuid("m9");
  c.mutable_set_address()->set_address("else:1");
  EXPECT_EQ(Try(c).err(), ENOENT);
}

TEST_F(MemberChanges, ANewMemberVotesOnWhatFollowsTheGenerationThatTookItIn) {
  pb::Change c;
  pb::MemberConf* m = c.mutable_add_member()->mutable_member();
  m->set_uuid("m4");
  EXPECT_EQ(Try(c).code(), Code::kMalformed);
  m->set_address("host1:7400");
  EXPECT_EQ(Try(c).err(), EEXIST);
  m->set_address("host4:7400");
  m->set_incarnation(1);
  Must(c);
  EXPECT_TRUE(HasVote(conf_, "m4", 1));
  EXPECT_EQ(FindMember(conf_, "m4")->votes_from(), conf_.generation());
  EXPECT_EQ(Try(c).err(), EEXIST);
}

TEST_F(MemberChanges, TheLastMemberStays) {
  for (const char* uuid : {"m1", "m2"}) {
    pb::Change c;
    c.mutable_remove_member()->set_uuid(uuid);
    Must(c);
  }
  pb::Change last;
  last.mutable_remove_member()->set_uuid("m3");
  EXPECT_EQ(Try(last).err(), EBUSY);
}

pb::Change GiveUp(std::vector<std::string> uuids) {
  pb::Change c;
  for (const std::string& uuid : uuids) c.mutable_give_up_members()->add_uuid(uuid);
  c.set_originator("m2");
  return c;
}

TEST_F(MemberChanges, VolumesOfMembersThatAreGivenUpAreLostAtAnother) {
  Must(Volume("data"));
  Must(Volume("more"));
  pb::Change mine = Volume("mine");
  mine.mutable_create_volume()->set_owner("m2");
  Must(mine);
  const pb::ClusterConf before = conf_;
  Must(GiveUp({"m1", "m3"}));
  EXPECT_EQ(conf_.member_size(), 1);
  EXPECT_EQ(conf_.generation(), before.generation() + 1 + kGiveUpSkips);
  EXPECT_EQ(Before(conf_), before.generation());
  for (const char* name : {"data", "more"}) {
    const pb::VolumeConf* v = FindVolume(conf_, name);
    EXPECT_EQ(v->owner(), "m2");
    EXPECT_EQ(v->owner_incarnation(), 0u);
    EXPECT_EQ(v->epoch(), conf_.generation());
  }
  EXPECT_EQ(FindVolume(conf_, "mine")->SerializeAsString(), FindVolume(before, "mine")->SerializeAsString());
  EXPECT_THAT(Differences(before, conf_),
              ElementsAre("peer host1:7400: detached", "peer host3:7400: detached",
                          "volume data: owner: host1:7400 -> host2:7400",
                          "volume data: its names were lost with host1:7400: restore it from a backup",
                          "volume more: owner: host1:7400 -> host2:7400",
                          "volume more: its names were lost with host1:7400: restore it from a backup"));
  // What comes next is one generation on; a restored volume is its owner's again.
  Must(Set("", "user.note", "on"));
  EXPECT_EQ(Before(conf_) + 1, conf_.generation());
  Must(Start("data", false));
  pb::Change restore = Move("m2", FindVolume(conf_, "data")->epoch(), "copy");
  restore.mutable_move_volume()->set_restore(true);
  Must(restore);
  EXPECT_EQ(FindVolume(conf_, "data")->owner_incarnation(), 1u);
}

TEST_F(MemberChanges, VolumesOfTheLostAreSpreadOverThoseThatAreLeft) {
  Must(Volume("a"));
  Must(Volume("b"));
  Must(GiveUp({"m1"}));
  EXPECT_NE(FindVolume(conf_, "a")->owner(), FindVolume(conf_, "b")->owner());
}

TEST_F(MemberChanges, SomebodyIsLeft) {
  EXPECT_EQ(Try(GiveUp({"m1", "m2"})).err(), EINVAL);  // it asks itself
  EXPECT_EQ(Try(GiveUp({"m1", "m9"})).err(), ENOENT);
  EXPECT_EQ(Try(GiveUp({})).code(), Code::kMalformed);
  pb::Change all = GiveUp({"m1", "m2", "m3"});
  all.set_originator("m9");
  EXPECT_EQ(Try(all).err(), EBUSY);
}

TEST_F(MemberChanges, ThoseThatAreLeftDecideOnWhomToGiveUp) {
  pb::Change set = Set("", "user.note", "a");
  EXPECT_EQ(Needed(conf_, set), 2u);
  EXPECT_EQ(Needed(conf_, GiveUp({"m1"})), 2u);
  EXPECT_EQ(Needed(conf_, GiveUp({"m1", "m3"})), 1u);
  for (const char* uuid : {"m4", "m5"}) {
    pb::Change c;
    pb::MemberConf* m = c.mutable_add_member()->mutable_member();
    m->set_uuid(uuid);
    m->set_address(std::string(uuid) + ":7400");
    m->set_incarnation(1);
    Must(c);
  }
  EXPECT_EQ(Needed(conf_, GiveUp({"m1"})), 3u);  // a majority is there: no need for all four
  EXPECT_EQ(Needed(conf_, GiveUp({"m1", "m3", "m4"})), 2u);
}

TEST_F(MemberChanges, NumbersThatOnlyTheLostMayHaveGivenOutAreNotGivenOutAgain) {
  Must(Volume("data"));
  Must(Chunkserver("c1"));
  Must(GiveUp({"m1", "m3"}));
  Must(Chunkserver("c2"));
  EXPECT_EQ(conf_.chunkserver(1).id(), 2 + kNumbersSkipped);
  pb::Change next = Volume("next");
  next.mutable_create_volume()->set_owner("m2");
  Must(next);
  EXPECT_EQ(FindVolume(conf_, "next")->id(), 2 + kNumbersSkipped);
  EXPECT_FALSE(MayBeLost(conf_, 1));
  EXPECT_TRUE(MayBeLost(conf_, 2));
  EXPECT_TRUE(MayBeLost(conf_, 1 + kNumbersSkipped));
  EXPECT_FALSE(MayBeLost(conf_, 2 + kNumbersSkipped));
}

TEST_F(MemberChanges, WhereAMajorityIsLeftItKnowsAllNumbers) {
  Must(Volume("data"));
  Must(GiveUp({"m1"}));
  EXPECT_EQ(conf_.next_volume(), 1u);
  EXPECT_FALSE(MayBeLost(conf_, 2));
}

TEST_F(MemberChanges, AVolumeThatOnlyTheLostKnewIsMadeUnderItsNumber) {
  pb::Change lost = Volume("lost");
  lost.mutable_create_volume()->set_owner("m2");
  lost.mutable_create_volume()->set_number(2);
  EXPECT_EQ(Try(lost).err(), EINVAL);
  Must(Volume("data"));
  Must(GiveUp({"m1", "m3"}));
  Must(lost);
  const pb::VolumeConf* v = FindVolume(conf_, "lost");
  EXPECT_EQ(v->id(), 2u);
  EXPECT_FALSE(v->started());
  EXPECT_EQ(v->owner_incarnation(), 0u);
  lost.mutable_create_volume()->set_name("again");
  EXPECT_EQ(Try(lost).err(), EEXIST);
  lost.mutable_create_volume()->set_number(2 + kNumbersSkipped);
  EXPECT_EQ(Try(lost).err(), EINVAL);
  // Deleted on purpose, its chunks may go; its neighbours' may not.
  Must(Delete("lost"));
  EXPECT_FALSE(MayBeLost(conf_, 2));
  EXPECT_TRUE(MayBeLost(conf_, 3));
  lost.mutable_create_volume()->set_number(5);
  Must(lost);
  Must(Delete("again"));
  EXPECT_TRUE(MayBeLost(conf_, 4));
  EXPECT_FALSE(MayBeLost(conf_, 5));
  EXPECT_TRUE(MayBeLost(conf_, 6));
  EXPECT_EQ(conf_.lost_volume_size(), 2);
}

}  // namespace
}  // namespace kfs::meta

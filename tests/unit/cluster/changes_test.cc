// Each change: what it makes, and when it is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "changes_fixture.h"
#include "common/limits.h"

namespace kfs::meta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Changes = ChangesTest;

TEST_F(Changes, WhatIsNotKnownIsRefused) { EXPECT_EQ(Try({}).code(), Code::kMalformed); }

TEST_F(Changes, WhatIsSoAlreadyMakesNoGeneration) {
  Must(Volume("data"));
  Must(Chunkserver("c-a", {{"rack", "r1"}}));
  Must(Set("data", "atime", "off"));
  Must(Set("", "user.note", "x"));
  pb::Change address;
  address.mutable_set_address()->set_uuid("m1");
  address.mutable_set_address()->set_address("host1:7400");
  pb::Change take_away;
  take_away.mutable_label_chunkserver()->set_uuid("c-a");
  take_away.mutable_label_chunkserver()->add_remove("room");
  for (pb::Change c :
       {address, take_away, Set("data", "atime", "off"), Set("", "user.note", "x"),
        Set("data", "read-only", ""), Set("", "user.none", ""), Label("c-a", "rack", "r1"), Revert(conf_)}) {
    c.set_time(conf_.time() + 1);
    c.set_originator("m2");
    EXPECT_EQ(Try(c).code(), Code::kAlreadySo) << c.ShortDebugString();
  }
  EXPECT_TRUE(Try(Set("data", "atime", "relative")).ok());  // as by default, but set
  Must(Set("data", "atime", ""));
  EXPECT_EQ(Try(Set("data", "atime", "")).code(), Code::kAlreadySo);
}

// ---- volumes

TEST_F(Changes, AVolumeIsBornWithItsOwnersIncarnation) {
  conf_.mutable_member(0)->set_incarnation(4);
  pb::Change c = Volume("data");
  c.set_time(12345);
  Must(c);
  const pb::VolumeConf& v = *FindVolume(conf_, "data");
  EXPECT_EQ(v.owner_incarnation(), 4u);
  EXPECT_EQ(v.epoch(), conf_.generation());
  EXPECT_EQ(v.created(), 12345);
  EXPECT_TRUE(v.started());
}

TEST_F(Changes, TheOwnerIsTheCandidateWithTheFewestVolumes) {
  const auto of = [](const std::string& name, const std::vector<std::string>& candidates) {
    pb::Change c = Volume(name);
    c.mutable_create_volume()->clear_owner();
    for (const std::string& uuid : candidates) c.mutable_create_volume()->add_candidate(uuid);
    return c;
  };
  const auto owner = [this](const std::string& name) { return FindVolume(conf_, name)->owner(); };
  Must(of("a", {"m3", "m2"}));
  EXPECT_EQ(owner("a"), "m3");  // of several the first
  Must(of("b", {"m3", "m2"}));
  EXPECT_EQ(owner("b"), "m2");
  Must(of("c", {}));  // of all
  EXPECT_EQ(owner("c"), "m1");
  Must(of("d", {"m2", "m2", "m3"}));
  EXPECT_EQ(owner("d"), "m2");
  Must(of("e", {"m2", "m3"}));
  EXPECT_EQ(owner("e"), "m3");
  Must(of("f", {}));
  EXPECT_EQ(owner("f"), "m1");
  EXPECT_EQ(FindVolume(conf_, "e")->owner_incarnation(), 1u);
  const Status s = Try(of("g", {"m1", "m9"}));
  EXPECT_EQ(s.err(), ENOENT);
  EXPECT_THAT(s.message(), HasSubstr("m9 is not a member"));
}

TEST_F(Changes, AVolumeMayBeBornWithOptions) {
  pb::Change c = Volume("data");
  auto& options = *c.mutable_create_volume()->mutable_option();
  options["inline-max"] = "0";
  Must(c);
  EXPECT_EQ(FindVolume(conf_, "data")->option().at("inline-max"), "0");
  c.mutable_create_volume()->set_name("more");
  options["inline-max"] = "1GiB";
  EXPECT_EQ(Try(c).message(), "option inline-max=1GiB exceeds 64KiB");
  options["inline-max"] = "4K";
  EXPECT_EQ(Try(c).err(), EOPNOTSUPP);
  options.clear();
  options["nothing"] = "0";
  EXPECT_EQ(Try(c).err(), ENOENT);
}

TEST_F(Changes, NamesOfVolumesAreLetters) {
  for (const char* good : {"a", "data-1", "A_b.c", "9"}) EXPECT_TRUE(Try(Volume(good)).ok()) << good;
  for (const char* bad : {"", ".", "..", "-a", "a-", "a/b", "a b", "\xc3\xa4", "a\n"})
    EXPECT_EQ(Try(Volume(bad)).err(), EINVAL) << bad;
  EXPECT_TRUE(Try(Volume(std::string(kVolumeNameMax, 'v'))).ok());
  EXPECT_EQ(Try(Volume(std::string(kVolumeNameMax + 1, 'v'))).err(), EINVAL);
}

TEST_F(Changes, ChunkSizesAreBoundedPowersOfTwo) {
  for (uint64_t good : {kChunkSizeMin, kChunkSizeMax}) {
    pb::Change c = Volume("data");
    c.mutable_create_volume()->set_chunk_size(static_cast<uint64_t>(good));
    EXPECT_TRUE(Try(c).ok()) << good;
  }
  for (uint64_t bad : {uint64_t{0}, uint64_t{kChunkSizeMin} / 2, uint64_t{kChunkSizeMax} * 2,
                       uint64_t{kChunkSizeMin} * 3, UINT64_MAX}) {
    pb::Change c = Volume("data");
    c.mutable_create_volume()->set_chunk_size(bad);
    EXPECT_EQ(Try(c).err(), EINVAL) << bad;
  }
}

TEST_F(Changes, OneCopyIsAllThatThisVersionKeeps) {
  for (uint32_t replicas : {0u, 2u}) {
    pb::Change c = Volume("data");
    c.mutable_create_volume()->set_replicas(replicas);
    EXPECT_EQ(Try(c).err(), EOPNOTSUPP);
  }
}

TEST_F(Changes, StartingWhatIsStartedIsSaid) {
  Must(Volume("data"));
  EXPECT_EQ(Try(Start("data", true)).err(), EALREADY);
  EXPECT_EQ(Try(Start("none", true)).err(), ENOENT);
  Must(Start("data", false));
  EXPECT_FALSE(FindVolume(conf_, "data")->started());
  EXPECT_EQ(Try(Start("data", false)).err(), EALREADY);
}

TEST_F(Changes, AMovedVolumeHasAnotherEpoch) {
  Must(Volume("data"));
  const uint64_t epoch = FindVolume(conf_, "data")->epoch();
  EXPECT_EQ(Try(Move("m1", epoch, "copy")).err(), EALREADY);
  EXPECT_EQ(Try(Move("m9", epoch, "copy")).err(), ENOENT);
  EXPECT_EQ(Try(Move("m2", epoch, "")).err(), EINVAL);
  EXPECT_EQ(Try(Move("m2", epoch + 1, "copy")).err(), ESTALE);
  Must(Move("m2", epoch, "copy"));
  const pb::VolumeConf* v = FindVolume(conf_, "data");
  EXPECT_EQ(v->owner(), "m2");
  EXPECT_EQ(v->transfer(), "copy");
  EXPECT_EQ(v->from_epoch(), epoch);
  EXPECT_GT(v->epoch(), epoch);
}

TEST_F(Changes, AMoveThatIsCalledOffCannotBeMadeAfterwards) {
  Must(Volume("data"));
  const uint64_t epoch = FindVolume(conf_, "data")->epoch();
  Must(Move("m1", epoch, ""));
  const pb::VolumeConf* v = FindVolume(conf_, "data");
  EXPECT_EQ(v->owner(), "m1");
  EXPECT_EQ(v->transfer(), "");
  EXPECT_EQ(v->from_epoch(), epoch);
  EXPECT_EQ(Try(Move("m2", epoch, "copy")).err(), ESTALE);
}

// ---- options

TEST_F(Changes, OptionsAreCheckedAndCanBeTakenBack) {
  Must(Volume("data"));
  EXPECT_EQ(Try(Set("data", "read-only", "maybe")).err(), EINVAL);
  EXPECT_EQ(Try(Set("data", "default-chunk-size", "1M")).err(), ENOENT);  // of the cluster
  EXPECT_EQ(Try(Set("", "read-only", "on")).err(), ENOENT);               // of a volume
  EXPECT_EQ(Try(Set("none", "read-only", "on")).err(), ENOENT);
  Must(Set("data", "read-only", "on"));
  EXPECT_EQ(FindVolume(conf_, "data")->option().at("read-only"), "on");
  Must(Set("data", "read-only", ""));
  EXPECT_THAT(FindVolume(conf_, "data")->option(), IsEmpty());
  EXPECT_EQ(Try(Set("data", "nothing", "")).err(), ENOENT);
  Must(Set("", "user.note", "a b"));
  Must(Set("", "user.note", ""));
  EXPECT_THAT(conf_.option(), IsEmpty());
}

// ---- chunkservers

TEST_F(Changes, ChunkserversGetNumbersThatAreNeverUsedAgain) {
  Must(Chunkserver("c-a", {{"rack", "r1"}}));
  Must(Chunkserver("c-b"));
  EXPECT_EQ(conf_.chunkserver(0).id(), 1u);
  EXPECT_EQ(conf_.chunkserver(1).id(), 2u);
  EXPECT_EQ(conf_.chunkserver(0).label().at("rack"), "r1");
  EXPECT_EQ(Try(Chunkserver("c-a")).err(), EEXIST);
  Must(Remove("c-b"));
  EXPECT_EQ(Try(Remove("c-b")).err(), ENOENT);
  Must(Chunkserver("c-b"));
  EXPECT_EQ(conf_.chunkserver(1).id(), 3u);
}

TEST_F(Changes, AChunkserverHasAUuid) {
  EXPECT_EQ(Try(Chunkserver("")).code(), Code::kMalformed);
  EXPECT_EQ(Try(Chunkserver(std::string(65, 'c'))).code(), Code::kMalformed);
}

TEST_F(Changes, LabelsAreSetAndTakenAway) {
  Must(Chunkserver("c-a", {{"rack", "r1"}, {"room", "2"}}));
  pb::Change c = Label("c-a", "rack", "r9");
  c.mutable_label_chunkserver()->add_remove("room");
  Must(c);
  EXPECT_EQ(conf_.chunkserver(0).label_size(), 1);
  EXPECT_EQ(conf_.chunkserver(0).label().at("rack"), "r9");
  EXPECT_EQ(Try(Label("c-x", "rack", "r1")).err(), ENOENT);
  EXPECT_EQ(Try(Label("c-a", "", "r1")).err(), EINVAL);
  EXPECT_EQ(Try(Label("c-a", "rack", "")).err(), EINVAL);
  EXPECT_EQ(Try(Label("c-a", "rack", std::string(65, 'r'))).err(), EINVAL);
  EXPECT_TRUE(Try(Label("c-a", "rack", std::string(64, 'r'))).ok());
}

TEST_F(Changes, LabelsHaveALimit) {
  Must(Chunkserver("c-a"));
  for (int i = 0; i < 32; ++i) Must(Label("c-a", std::to_string(i), "v"));
  EXPECT_THAT(Try(Label("c-a", "one more", "v")).message(), HasSubstr("more than 32 labels"));
  EXPECT_TRUE(Try(Label("c-a", "7", "w")).ok());
}

// ---- limits

TEST_F(Changes, ThereIsALimitOnEverything) {
  for (int i = conf_.member_size(); i < 15; ++i) {
    pb::Change c;
    c.mutable_add_member()->mutable_member()->set_uuid("x" + std::to_string(i));
    c.mutable_add_member()->mutable_member()->set_address("x:" + std::to_string(i));
    Must(c);
  }
  pb::Change member;
  member.mutable_add_member()->mutable_member()->set_uuid("more");
  member.mutable_add_member()->mutable_member()->set_address("more:1");
  EXPECT_THAT(Try(member).message(), HasSubstr("at most 15 metaservers"));
  for (int i = 0; i < 4096; ++i) conf_.add_volume()->set_name("v" + std::to_string(i));
  EXPECT_THAT(Try(Volume("more")).message(), HasSubstr("at most 4096 volumes"));
  for (int i = 0; i < 10000; ++i) conf_.add_chunkserver()->set_uuid("c" + std::to_string(i));
  EXPECT_THAT(Try(Chunkserver("more")).message(), HasSubstr("at most 10000 chunkservers"));
}

TEST_F(Changes, TheTransactionsThatLedHereAreBounded) {
  for (int i = 0; i < 70; ++i) {
    Result<pb::ClusterConf> next = Apply(conf_, Set("", "user.n", std::to_string(i)), std::to_string(i), "c");
    ASSERT_TRUE(next.ok());
    conf_ = *next;
  }
  EXPECT_EQ(conf_.recent_size(), 64);
  EXPECT_EQ(conf_.recent(0), "6");
  EXPECT_EQ(conf_.recent(63), "69");
}

// ---- revert

TEST_F(Changes, RevertBringsBackOptionsLabelsAndWhatWasStarted) {
  Must(Volume("data"));
  Must(Chunkserver("c-a", {{"rack", "r1"}}));
  Must(Set("", "user.note", "then"));
  const pb::ClusterConf then = conf_;
  Must(Set("data", "atime", "off"));
  Must(Start("data", false));
  Must(Label("c-a", "rack", "r2"));
  Must(Set("", "user.note", "now"));
  const pb::ClusterConf now = conf_;
  Must(Revert(then));
  EXPECT_EQ(conf_.generation(), now.generation() + 1);
  EXPECT_TRUE(FindVolume(conf_, "data")->started());
  EXPECT_THAT(FindVolume(conf_, "data")->option(), IsEmpty());
  EXPECT_EQ(conf_.chunkserver(0).label().at("rack"), "r1");
  EXPECT_EQ(conf_.option().at("user.note"), "then");
  EXPECT_THAT(Differences(then, conf_), IsEmpty());
}

TEST_F(Changes, RevertDoesNotBringBackWhatWasDeletedNorTakeAwayWhatIsNew) {
  Must(Volume("gone"));
  Must(Volume("again"));
  Must(Set("again", "atime", "off"));
  Must(Chunkserver("c-a"));
  const pb::ClusterConf then = conf_;
  for (const char* name : {"gone", "again"}) {
    Must(Start(name, false));
    Must(Delete(name));
  }
  Must(Volume("again"));  // another one under the name
  Must(Volume("new"));
  Must(Remove("c-a"));
  Must(Set("", "user.note", "new"));
  const uint32_t next_volume = conf_.next_volume();
  Must(Revert(then));
  EXPECT_EQ(FindVolume(conf_, "gone"), nullptr);
  EXPECT_THAT(FindVolume(conf_, "again")->option(), IsEmpty());
  EXPECT_NE(FindVolume(conf_, "new"), nullptr);
  EXPECT_EQ(conf_.chunkserver_size(), 0);
  EXPECT_EQ(conf_.next_volume(), next_volume);
  EXPECT_EQ(conf_.member_size(), 3);
}

// ---- in words

TEST_F(Changes, DifferencesOfChunkserversAndOwnersAreSaidInWords) {
  Must(Volume("data"));
  Must(Chunkserver("c-a", {{"rack", "r1"}}));
  const pb::ClusterConf before = conf_;
  Must(Label("c-a", "rack", "r2"));
  Must(Chunkserver("c-b"));
  Must(Move("m2", FindVolume(conf_, "data")->epoch(), "copy"));
  EXPECT_THAT(Differences(before, conf_),
              ElementsAre("volume data: owner: host1:7400 -> host2:7400",
                          "chunkserver 1: label rack: r1 -> r2", "chunkserver 2: added"));
  EXPECT_THAT(Differences(conf_, before),
              ElementsAre("volume data: owner: host2:7400 -> host1:7400",
                          "chunkserver 1: label rack: r2 -> r1", "chunkserver 2: removed"));
}

// Or the next change would not fit into a message.
TEST_F(Changes, AConfigurationHasABound) {
  pb::Change set;
  set.mutable_set_option()->set_value(std::string(1000, 'x'));
  Status s;
  int made = 0;
  for (; s.ok() && made < 2000; ++made) {
    set.mutable_set_option()->set_name("user.n" + std::to_string(made));
    s = Try(set);
    if (s.ok()) Must(set);
  }
  EXPECT_EQ(s.err(), ENOSPC);
  EXPECT_THAT(s.message(), HasSubstr("of 400 that there may be"));
  EXPECT_GT(made, 300);
  EXPECT_LT(conf_.ByteSizeLong(), kFrameBodyMax / 2);
  pb::Change reset;
  reset.mutable_set_option()->set_name("user.n0");
  Must(reset);
  set.mutable_set_option()->set_name("user.again");
  Must(set);
}

TEST_F(Changes, WhatWasLostWithAChunkserverIsSettledOnceItIsGone) {
  for (const char* uuid : {"c1", "c2"}) {
    pb::Change add;
    add.mutable_add_chunkserver()->set_uuid(uuid);
    Must(add);
  }
  const auto settle = [](uint64_t id) {
    pb::Change change;
    change.mutable_settle_chunkserver()->set_id(id);
    return change;
  };
  EXPECT_EQ(Try(settle(0)).err(), ENOENT);
  EXPECT_EQ(Try(settle(3)).err(), ENOENT);
  EXPECT_EQ(Try(settle(2)).err(), EBUSY);
  pb::Change remove;
  remove.mutable_remove_chunkserver()->set_uuid("c2");
  Must(remove);
  const pb::ClusterConf before = conf_;
  Must(settle(2));
  EXPECT_THAT(Differences(before, conf_),
              testing::ElementsAre("chunkserver 2: what was lost with it is settled"));
  EXPECT_EQ(Try(settle(2)).code(), Code::kAlreadySo);
}

}  // namespace
}  // namespace kfs::meta

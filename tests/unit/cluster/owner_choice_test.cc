// Volumes for which nobody has named an owner go to members that are there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster_fixture.h"
#include "metaserver/cluster/member_changes.h"

namespace kfs::meta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Command Creating(const std::string& name, const std::vector<std::string>& candidates = {}) {
  Command c{.words = "volume create " + name};
  auto* v = c.change.mutable_create_volume();
  v->set_name(name);
  v->set_replicas(1);
  v->set_chunk_size(64 << 20);
  for (const std::string& uuid : candidates) v->add_candidate(uuid);
  return c;
}

std::string OwnerAt(Peer& peer, const std::string& name) {
  const pb::VolumeConf* v = FindVolume(peer.node.acceptor().conf(), name);
  return v == nullptr ? "no volume" : v->owner();
}

TEST(OwnerChoice, OneThatIsDownIsNotChosenHoweverFewVolumesItHas) {
  Cluster c;
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(c.Do(1, Creating(name)).kind, Outcome::kDone);
  c.down = {"m1"};
  for (const char* name : {"d", "e", "f", "g"}) EXPECT_EQ(c.Do(2, Creating(name)).kind, Outcome::kDone);
  for (const char* name : {"d", "e", "f", "g"}) {
    for (size_t i : {2, 3}) EXPECT_NE(OwnerAt(c[i], name), "m1") << name;
    EXPECT_EQ(OwnerAt(c[2], name), OwnerAt(c[3], name)) << name;
  }
  c.down = {};
  c.Pass(std::chrono::seconds(5));
  EXPECT_EQ(OwnerAt(c[1], "g"), OwnerAt(c[2], "g"));
  EXPECT_EQ(c.Do(3, Creating("h")).kind, Outcome::kDone);
  EXPECT_EQ(OwnerAt(c[2], "h"), "m1");  // it is there again, and has the fewest
}

TEST(OwnerChoice, NorIsOneThatIsSilentOrHasNoRoom) {
  Cluster c;
  c.down = {"m1"};
  c.notice_down = false;
  EXPECT_EQ(c.Do(2, Creating("a")).kind, Outcome::kDone);
  EXPECT_EQ(OwnerAt(c[2], "a"), "m2");
  c.down = {};
  c.Pass(std::chrono::seconds(5));
  c[1].store.has_room = false;
  EXPECT_EQ(c.Do(2, Creating("b")).kind, Outcome::kDone);
  EXPECT_EQ(OwnerAt(c[2], "b"), "m3");
}

TEST(OwnerChoice, OfSeveralThatAreNamedThoseThatAreThereAreMeant) {
  Cluster c;
  c.down = {"m3"};
  EXPECT_EQ(c.Do(1, Creating("a", {"m3", "m2"})).kind, Outcome::kDone);
  EXPECT_EQ(OwnerAt(c[1], "a"), "m2");
  EXPECT_EQ(c.Do(1, Creating("b", {"m3"})).kind, Outcome::kDone);  // whoever names it wants it
  EXPECT_EQ(OwnerAt(c[1], "b"), "m3");
  Command named = Creating("c");
  named.change.mutable_create_volume()->set_owner("m3");
  EXPECT_EQ(c.Do(1, named).kind, Outcome::kDone);
  EXPECT_EQ(OwnerAt(c[1], "c"), "m3");
}

pb::Change GivingOneUp(const std::string& uuid) {
  pb::Change c;
  c.mutable_give_up_members()->add_uuid(uuid);
  c.set_originator("m1");
  return c;
}

TEST(OwnerChoice, VolumesOfOneThatIsGivenUpGoToWhoIsThere) {
  pb::ClusterConf conf = ThreeMembers();
  for (int i = 4; i <= 5; ++i) {
    pb::MemberConf* m = conf.add_member();
    m->set_uuid("m" + std::to_string(i));
    m->set_incarnation(1);
  }
  for (const char* owner : {"m1", "m2", "m3", "m5"}) {
    pb::VolumeConf* v = conf.add_volume();
    v->set_name(std::string("of-") + owner);
    v->set_owner(owner);
  }
  pb::Change change = GivingOneUp("m5");
  ChooseAmong({"m1", "m2", "m3"}, conf, &change);  // m4, which owns nothing, is down
  EXPECT_THAT(change.give_up_members().candidate(), ElementsAre("m1", "m2", "m3"));
  const Result<pb::ClusterConf> next = Apply(conf, change, "t", "command");
  ASSERT_TRUE(next.ok()) << next.status().ToString();
  EXPECT_EQ(FindVolume(*next, "of-m5")->owner(), "m1");

  pb::Change with_all = GivingOneUp("m5");
  ChooseAmong({"m1", "m2", "m3", "m4"}, conf, &with_all);
  EXPECT_EQ(with_all.give_up_members().candidate_size(), 0);  // as older members know it
  EXPECT_EQ(FindVolume(*Apply(conf, with_all, "t", "command"), "of-m5")->owner(), "m4");

  for (const char* bad : {"m5", "m9"}) {
    pb::Change forged = GivingOneUp("m5");
    forged.mutable_give_up_members()->add_candidate(bad);
    EXPECT_EQ(Apply(conf, forged, "t", "command").status().code(), Code::kMalformed) << bad;
  }
}

TEST(OwnerChoice, WhoHasNoRoomIsSaidToHaveMissedTheChangeForThat) {
  Cluster c;
  c[3].store.has_room = false;
  const Outcome o = c.Do(1, Set("user.a", "1"));
  EXPECT_EQ(o.kind, Outcome::kDone);
  EXPECT_THAT(o.unreachable, ElementsAre("m3"));
  EXPECT_THAT(o.apart.at("m3"), HasSubstr("its disk is full"));
  c[3].store.has_room = true;
  c.Pass(std::chrono::seconds(5));
  EXPECT_TRUE(c.Do(1, Set("user.a", "2")).apart.empty());
}

}  // namespace
}  // namespace kfs::meta

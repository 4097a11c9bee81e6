#include "metaserver/members/diagnose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metaserver/cluster/configuration.h"
#include "rpc/hello.h"

namespace kfs::meta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kNow = 1700000000000000000;

// A peer with which all is well; tests spoil it.
class DiagnoseTest : public testing::Test {
 protected:
  DiagnoseTest() {
    conf_.set_cluster_id("here");
    conf_.set_generation(9);
    pb::MemberConf* m = conf_.add_member();
    m->set_uuid("m2");
    m->set_address("m2:7400");
    m->set_incarnation(2);
    m->set_votes_from(3);
    there_.reply.set_uuid("m2");
    there_.reply.set_incarnation(2);
    there_.reply.set_cluster_id("here");
    there_.reply.set_generation(9);
    there_.reply.set_checksum(Checksum(conf_));
    there_.reply.set_software(kSoftware);
    there_.reply.set_wall(kNow + 1000);
    *there_.reply.mutable_conf() = conf_;
  }
  void Run() {
    reply_.Clear();
    Diagnose(conf_, Checksum(conf_), conf_.member(0), there_, kNow, &reply_);
  }
  std::vector<std::string> Found() const {
    std::vector<std::string> out;
    for (const auto& f : reply_.finding()) out.push_back((f.good() ? "+" : "-") + f.what());
    return out;
  }
  const pb::PeerWhyReply::Finding& Last() const { return reply_.finding(reply_.finding_size() - 1); }
  // The one that is bad, and the only one.
  const pb::PeerWhyReply::Finding& Bad(const std::string& what) {
    Run();
    const pb::PeerWhyReply::Finding* bad = nullptr;
    for (const auto& f : reply_.finding()) {
      EXPECT_EQ(f.remedy().empty(), f.good()) << f.what();
      EXPECT_FALSE(f.words().empty()) << f.what();
      if (f.good()) continue;
      EXPECT_EQ(bad, nullptr) << f.what();
      bad = &f;
    }
    if (bad == nullptr || bad->what() != what) {
      ADD_FAILURE() << "nothing is wrong with the " << what;
      return pb::PeerWhyReply::Finding::default_instance();
    }
    return *bad;
  }

  pb::ClusterConf conf_;
  PeerAnswer there_;
  pb::PeerWhyReply reply_;
};

TEST_F(DiagnoseTest, AllIsWell) {
  there_.took = std::chrono::microseconds(1500);
  Run();
  EXPECT_THAT(Found(), ElementsAre("+port", "+version", "+clock", "+cluster", "+identity", "+vote",
                                   "+generation", "+checksum"));
  EXPECT_EQ(reply_.finding(0).words(), "answers in 1.5 ms");
  EXPECT_EQ(reply_.difference_size(), 0);
}

TEST_F(DiagnoseTest, WhoDoesNotAnswerIsNotLookedAtFurther) {
  there_.status = Status(EHOSTUNREACH, "m2:7400 does not answer as a metaserver: Connection refused");
  const auto& f = Bad("port");
  EXPECT_THAT(Found(), ElementsAre("-port"));
  EXPECT_EQ(f.words(), there_.status.message());
  EXPECT_THAT(f.remedy(), HasSubstr("kfs peer address m2:7400 HOST:PORT"));
}

TEST_F(DiagnoseTest, AnotherVersionIsSaid) {
  there_.reply.set_software("kfs 0.0.9");
  EXPECT_EQ(Bad("version").words(), std::string("kfs 0.0.9 there, ") + kSoftware + " here");
}

TEST_F(DiagnoseTest, ClocksMayBeASecondApart) {
  for (int64_t apart : {1000000000, -1000000000}) {
    there_.reply.set_wall(kNow + apart);
    Run();
    EXPECT_TRUE(reply_.finding(2).good()) << apart;
    there_.reply.set_wall(kNow + apart + (apart < 0 ? -1 : 1));
    EXPECT_THAT(Bad("clock").remedy(), HasSubstr("chrony"));
  }
}

TEST_F(DiagnoseTest, AWipedOneIsToBeRepaired) {
  there_.reply.set_cluster_id("of its own");
  there_.reply.set_uuid("new");
  there_.reply.set_alone(true);
  EXPECT_THAT(Bad("cluster").remedy(), HasSubstr("kfs peer repair m2:7400"));
  EXPECT_EQ(Last().what(), "cluster");
}

TEST_F(DiagnoseTest, ACrowdAtItsAddressIsAnotherCluster) {
  there_.reply.set_cluster_id("elsewhere");
  const auto& f = Bad("cluster");
  EXPECT_EQ(f.words(), "elsewhere there, here here");
  EXPECT_THAT(f.remedy(), HasSubstr("kfs peer address"));
}

TEST_F(DiagnoseTest, AnotherMemberAtItsAddressIsSaid) {
  there_.reply.set_uuid("m3");
  EXPECT_EQ(Bad("identity").words(), "m3 there, m2 here");
  EXPECT_EQ(Last().what(), "identity");
  pb::MemberConf* other = conf_.add_member();
  other->set_uuid("m3");
  other->set_address("m3:7400");
  EXPECT_EQ(Bad("identity").words(), "m3 there, which is m3:7400, m2 here");
  EXPECT_THAT(Bad("identity").remedy(), HasSubstr("start each with its own data-dir"));
}

TEST_F(DiagnoseTest, AnEarlierIncarnationHasNoVote) {
  there_.reply.set_incarnation(1);
  const auto& f = Bad("vote");
  EXPECT_EQ(f.words(), "incarnation 1 there, 2 here: no vote yet");
  EXPECT_THAT(f.remedy(), HasSubstr("kfs peer repair m2:7400"));
}

TEST_F(DiagnoseTest, ANewIncarnationVotesFromTheNextChangeOn) {
  conf_.mutable_member(0)->set_votes_from(10);
  there_.reply.set_checksum(Checksum(conf_));
  EXPECT_EQ(Bad("vote").remedy(), "it votes from the next change on");
}

TEST_F(DiagnoseTest, WhoIsBehindIsNotAccusedOfAnotherChecksum) {
  there_.reply.set_generation(8);
  there_.reply.set_checksum("other");
  EXPECT_EQ(Bad("generation").words(), "8 there, 9 here");
  EXPECT_EQ(Last().what(), "generation");
}

TEST_F(DiagnoseTest, WhoHasNoRoomNeitherVotesNorCatchesUp) {
  there_.reply.set_no_room(true);
  EXPECT_THAT(Bad("room").remedy(), HasSubstr("make room"));
  EXPECT_THAT(Found(), testing::Not(testing::Contains("+vote")));
  there_.reply.set_generation(8);
  there_.reply.set_checksum("other");
  EXPECT_THAT(Bad("room").words(), HasSubstr("its disk is full"));
  EXPECT_EQ(Last().what(), "room");
}

TEST_F(DiagnoseTest, TwoConfigurationsUnderOneGenerationAreCompared) {
  (*there_.reply.mutable_conf()->mutable_option())["user.note"] = "x";
  there_.reply.set_checksum(Checksum(there_.reply.conf()));
  EXPECT_THAT(Bad("checksum").remedy(), HasSubstr("kfs peer repair m2:7400"));
  EXPECT_THAT(reply_.difference(), ElementsAre("option user.note: default -> x"));
}

}  // namespace
}  // namespace kfs::meta

// The peers of whole members: they find each other, part, quarrel, and answer strangers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster_fixture.h"

namespace kfs::meta {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using S = FriendState;

const PeerView* Find(const std::vector<PeerView>& peers, const std::string& uuid) {
  for (const PeerView& p : peers) {
    if (p.uuid == uuid) return &p;
  }
  return nullptr;
}

// How m`at` stands with m`to`.
S StateOf(Cluster& c, size_t at, size_t to) {
  const std::vector<PeerView> peers = c[at].node.Peers();
  const PeerView* p = Find(peers, "m" + std::to_string(to));
  EXPECT_NE(p, nullptr);
  return p == nullptr ? S::kDefault : p->state;
}

void ExpectAllFriends(Cluster& c) {
  for (size_t at = 1; at <= c.peers.size(); ++at) {
    for (const PeerView& p : c[at].node.Peers())
      EXPECT_EQ(p.state, S::kBefriended) << "m" << at << " and " << p.uuid;
  }
}

Command Detach(const std::string& uuid) {
  Command command{.words = "peer detach " + uuid};
  command.change.mutable_remove_member()->set_uuid(uuid);
  return command;
}

// A message of somebody who is not one of the three.
pb::PeerMessage Request(const std::string& from) {
  pb::PeerMessage m;
  m.set_from(from);
  m.set_incarnation(1);
  m.set_cluster_id("test");
  m.set_generation(7);
  m.set_checksum(Checksum(ThreeMembers()));
  m.mutable_friendship()->set_kind(pb::PeerFriend::REQUEST);
  return m;
}

std::vector<std::pair<std::string, std::string>> Answers(Cluster& c) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [to, m] : c.messages) {
    if (m.has_friendship()) out.emplace_back(to, m.friendship().words());
  }
  c.messages.clear();
  return out;
}

TEST(Friends, MembersFindEachOther) {
  Cluster c;
  EXPECT_THAT(c[1].node.Peers(), IsEmpty());  // nothing has run yet
  c.Pass(seconds(1));
  ExpectAllFriends(c);
  const std::vector<PeerView> peers = c[1].node.Peers();
  ASSERT_EQ(peers.size(), 2u);
  EXPECT_EQ(peers[0].uuid, "m2");
  EXPECT_EQ(peers[0].address, "host2:7400");
  EXPECT_TRUE(peers[0].connected);
  EXPECT_EQ(peers[0].generation, 7u);
  EXPECT_EQ(peers[0].checksum, Checksum(ThreeMembers()));
  EXPECT_GE(peers[0].last_heard, c.now - seconds(1));
  EXPECT_THAT(peers[0].reason, IsEmpty());
  EXPECT_FALSE(peers[0].log->entries().empty());
}

TEST(Friends, FindEachOtherThoughMostMessagesAreLost) {
  for (uint32_t seed = 1; seed <= 50; ++seed) {
    Cluster c;
    uint32_t random = seed;
    c.lose = [&](const std::string&, const pb::PeerMessage&) {
      random = random * 1664525 + 1013904223;
      return random >> 30 != 0;  // three of four
    };
    c.Pass(seconds(10));
    c.lose = nullptr;
    c.Pass(seconds(4));
    ExpectAllFriends(c);
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
  }
}

TEST(Friends, AnyOneLostMessageOfTheHandshakeIsMadeUpFor) {
  for (int nth = 0; nth < 20; ++nth) {
    Cluster c;
    int count = 0;
    c.lose = [&](const std::string&, const pb::PeerMessage&) { return count++ == nth; };
    c.Pass(seconds(5));
    ExpectAllFriends(c);
    EXPECT_GT(count, nth) << "nothing was lost";
  }
}

TEST(Friends, ComeBackAfterACut) {
  Cluster c;
  c.Pass(seconds(1));
  c.down = {"m3"};
  c.Pass(seconds(8));
  EXPECT_EQ(StateOf(c, 1, 3), S::kBefriended);
  const std::vector<PeerView> peers = c[1].node.Peers();
  EXPECT_FALSE(Find(peers, "m3")->connected);
  c.notice_down = false;  // nobody notices: it is only silent
  c.Pass(seconds(8));
  EXPECT_EQ(StateOf(c, 1, 3), S::kReqSent);
  c.down.clear();
  c.Pass(seconds(3));
  ExpectAllFriends(c);
}

TEST(Friends, ADetachedMemberIsToldAndForgotten) {
  Cluster c;
  c.Pass(seconds(1));
  EXPECT_EQ(c.Do(1, Detach("m3")).kind, Outcome::kDone);
  c.Pass(seconds(2));
  EXPECT_THAT(c[3].node.detached(), HasSubstr("generation 8"));
  EXPECT_THAT(c[3].node.detached(), HasSubstr("peer detach m3"));
  EXPECT_EQ(StateOf(c, 3, 1), S::kDefault);
  EXPECT_EQ(c[1].node.Peers().size(), 1u);
  EXPECT_EQ(c[2].node.Peers().size(), 1u);
  EXPECT_THAT(c[1].node.detached(), IsEmpty());
}

TEST(Friends, AMemberDetachedWhileItWasAwayLearnsOfItWhenItComesBack) {
  for (const Duration away : {Duration(seconds(5)), Duration(std::chrono::minutes(5))}) {
    Cluster c;
    c.Pass(seconds(1));
    c.down = {"m3"};
    EXPECT_EQ(c.Do(1, Detach("m3")).kind, Outcome::kDone);
    c.Pass(seconds(1));
    EXPECT_EQ(StateOf(c, 1, 3), S::kUnfriendSent);
    c.Pass(away);
    c.down.clear();
    c.Pass(seconds(7));
    EXPECT_THAT(c[3].node.detached(), HasSubstr("peer detach m3"));
    EXPECT_EQ(c[1].node.Peers().size(), 1u);
  }
}

TEST(Friends, ADetachedMemberThatAsksForTheConfigurationGetsIt) {
  Cluster c;
  c.down = {"m3"};
  EXPECT_EQ(c.Do(1, Detach("m3")).kind, Outcome::kDone);
  c.messages.clear();
  pb::PeerMessage want = Request("m3");
  want.mutable_hello()->set_want_conf(true);
  c[1].node.OnMessage(want);
  ASSERT_EQ(c.messages.size(), 1u);
  EXPECT_EQ(c.messages[0].second.hello().conf().generation(), 8u);
}

TEST(Friends, ADetachedMemberCanComeBack) {
  Cluster c;
  EXPECT_EQ(c.Do(1, Detach("m3")).kind, Outcome::kDone);
  c.Pass(seconds(2));
  pb::PeerMessage reject = Request("m1");  // another cluster's metaserver where the first one ought to be
  reject.set_cluster_id("other");
  reject.mutable_friendship()->set_kind(pb::PeerFriend::RJT);
  reject.mutable_friendship()->set_to_incarnation(1);
  c[3].node.OnMessage(reject);
  EXPECT_EQ(StateOf(c, 3, 1), S::kDefault);
  Command add{.words = "peer probe host3"};
  *add.change.mutable_add_member()->mutable_member() = ThreeMembers().member(2);
  EXPECT_EQ(c.Do(1, add).kind, Outcome::kDone);
  c.Pass(seconds(3));
  EXPECT_THAT(c[3].node.detached(), IsEmpty());
  EXPECT_EQ(c[1].node.Peers().size(), 2u);
  ExpectAllFriends(c);
}

TEST(Friends, AnotherConfigurationUnderOneGenerationIsRejectedOnBothSides) {
  Cluster c;
  MemoryStore other = StoreOf("m3");
  (*other.record.mutable_conf()->mutable_option())["user.a"] = "forged";
  c.peers[2] = std::make_unique<Peer>(c, "m3", other);
  c.Pass(seconds(5));
  EXPECT_EQ(StateOf(c, 1, 2), S::kBefriended);
  EXPECT_EQ(StateOf(c, 1, 3), S::kRejected);
  EXPECT_EQ(StateOf(c, 3, 1), S::kRejected);
  const std::vector<PeerView> peers = c[3].node.Peers();
  EXPECT_THAT(Find(peers, "m1")->reason, HasSubstr("another configuration under generation 7"));
  // The others go on without it, and what they decide is what it takes.
  EXPECT_EQ(c.Do(1, Set("user.b", "2")).kind, Outcome::kDone);
  c.Pass(seconds(5));
  EXPECT_FALSE(c[3].node.acceptor().conf().option().contains("user.a"));
  ExpectAllFriends(c);
}

TEST(Friends, AStrangerIsToldWhyOnceInAWhile) {
  Cluster c;
  c.Pass(seconds(1));
  c[1].node.OnMessage(Request("m9"));
  EXPECT_THAT(Answers(c),
              ElementsAre(testing::Pair(
                  "m9", "m9 is not a member of the cluster in generation 7 (see: kfs peer probe)")));
  c[1].node.OnMessage(Request("m9"));
  EXPECT_THAT(Answers(c), IsEmpty());
  c.now += Friends::kTellEvery;
  c[1].node.OnMessage(Request("m9"));
  EXPECT_EQ(Answers(c).size(), 1u);
}

TEST(Friends, ManyStrangersCostABoundedAmount) {
  Cluster c;
  for (size_t i = 0; i < 10 * Friends::kStrangersKept; ++i)
    c[1].node.OnMessage(Request("stranger" + std::to_string(i)));
  EXPECT_EQ(c.messages.size(), Friends::kStrangersKept);
}

TEST(Friends, AnEarlierIncarnationIsToldSoAndTheLaterOneIsNotTroubled) {
  Cluster c;
  c.peers[2] = std::make_unique<Peer>(c, "m3", 2);
  Command readmit{.words = "peer repair m3"};
  readmit.change.mutable_readmit()->set_uuid("m3");
  readmit.change.mutable_readmit()->set_incarnation(2);
  EXPECT_EQ(c.Do(1, readmit).kind, Outcome::kDone);
  c.Pass(seconds(2));
  ExpectAllFriends(c);
  c[1].node.OnMessage(Request("m3"));  // from before
  ASSERT_EQ(c.messages.size(), 1u);
  EXPECT_THAT(c.messages[0].second.friendship().words(), HasSubstr("readmitted as incarnation 2"));
  c.Deliver();
  ExpectAllFriends(c);
}

TEST(Friends, AnotherClusterIsAnsweredOnceAndNotForEver) {
  Cluster c;
  MemoryStore other = StoreOf("m3");
  other.record.mutable_conf()->set_cluster_id("other");
  c.peers[2] = std::make_unique<Peer>(c, "m3", other);
  size_t refusals = 0;
  c.lose = [&](const std::string&, const pb::PeerMessage& m) {
    refusals += m.friendship().kind() == pb::PeerFriend::RJT ? 1 : 0;
    return false;
  };
  c.Pass(seconds(10));
  EXPECT_EQ(StateOf(c, 1, 2), S::kBefriended);
  EXPECT_EQ(StateOf(c, 1, 3), S::kRejected);
  const std::vector<PeerView> peers = c[1].node.Peers();
  EXPECT_THAT(Find(peers, "m3")->reason, HasSubstr("belongs to the cluster \"other\", not to \"test\""));
  EXPECT_GT(refusals, 0u);
  EXPECT_LE(refusals, 12u);  // each pair, both ways, each five seconds
}

TEST(Friends, AMemberThatWasAwayForChangesImportsThem) {
  Cluster c;
  c.Pass(seconds(1));
  c.down = {"m3"};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(c.Do(1, Set("user.a", std::to_string(i))).kind, Outcome::kDone);
  EXPECT_EQ(c[3].node.acceptor().generation(), 7u);
  c.down.clear();
  c.Pass(seconds(2));
  EXPECT_EQ(c[3].node.acceptor().generation(), 12u);
  ExpectAllFriends(c);
}

TEST(Friends, ANewAddressIsFollowed) {
  Cluster c;
  c.Pass(seconds(1));
  Command move{.words = "peer set-address"};
  move.change.mutable_set_address()->set_uuid("m3");
  move.change.mutable_set_address()->set_address("host9:7400");
  EXPECT_EQ(c.Do(1, move).kind, Outcome::kDone);
  c.Pass(seconds(1));
  const std::vector<PeerView> peers = c[2].node.Peers();
  EXPECT_EQ(Find(peers, "m3")->address, "host9:7400");
  EXPECT_EQ(Find(peers, "m3")->state, S::kBefriended);
}

}  // namespace
}  // namespace kfs::meta

// Whole transactions among three members whose messages arrive at once and in order. (The simulation has the
// other kinds of network.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "cluster_fixture.h"

namespace kfs::meta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> StatesOf(const ClusterNode& node, const std::string& id) {
  std::vector<std::string> states;
  const auto& log = node.transactions().at(id)->log().entries();
  for (const auto& e : log) {
    if (states.empty()) states.emplace_back(e.from);
    if (e.to != states.back()) states.emplace_back(e.to);
  }
  return states;
}

TEST(Transaction, AReadWalksThroughAllPhases) {
  Cluster c;
  const Outcome o = c.Do(1, {.words = "volume status", .read = true});
  EXPECT_EQ(o.kind, Outcome::kDone);
  EXPECT_EQ(o.reports.size(), 3u);
  EXPECT_EQ(o.reports.at("m2"), "m2's bricks");
  EXPECT_THAT(StatesOf(c[1].node, c.last),
              ElementsAre("Default", "Lock sent", "Stage op sent", "Brick op sent", "Commit op sent",
                          "Unlock sent", "Default"));
  EXPECT_EQ(c[1].node.acceptor().generation(), 7u);  // nothing has changed
}

TEST(Transaction, AReadAnswersWithPeersDownAndNamesThem) {
  Cluster c;
  c.down = {"m2", "m3"};
  c.notice_down = false;
  const Outcome o = c.Do(1, {.words = "volume status", .read = true}, std::chrono::milliseconds(600));
  EXPECT_EQ(o.kind, Outcome::kDone);
  EXPECT_THAT(o.unreachable, ElementsAre("m2", "m3"));
  EXPECT_EQ(o.reports.size(), 1u);
}

TEST(Transaction, WhoIsSilentKeepsTheCallerWaitingOnceOnly) {
  Cluster c;
  c.down = {"m3"};
  c.notice_down = false;
  const MonoTime began = c.now;
  std::optional<MonoTime> ended;
  c[1].node.Submit({.words = "volume status", .read = true}, [&](const Outcome&) { ended = c.now; });
  c.Deliver();
  c.Pass(std::chrono::seconds(4));
  ASSERT_TRUE(ended);
  EXPECT_LT(*ended - began, std::chrono::milliseconds(1200));
}

TEST(Transaction, AMemberThatIsKnownToBeAloneIsSurprisedByNoEvent) {
  Cluster c;
  c.down = {"m2", "m3"};
  const Outcome o = c.Do(1, {.words = "volume status", .read = true});
  EXPECT_EQ(o.kind, Outcome::kDone);
  EXPECT_EQ(c[1].node.transactions().at(c.last)->log().unexpected(), 0u);
}

TEST(Transaction, AReadWaitsForNobodyAndKeepsNobodyOut) {
  Cluster c;
  std::optional<Outcome> change, read;
  c[1].node.Submit(Set("user.a", "1"), [&](const Outcome& o) { change = o; });  // its messages are on the way
  c[2].node.Submit({.words = "volume status", .read = true}, [&](const Outcome& o) { read = o; });
  c.Deliver();
  ASSERT_TRUE(change && read);
  EXPECT_EQ(change->kind, Outcome::kDone);
  EXPECT_EQ(read->kind, Outcome::kDone);
}

TEST(Transaction, AChangeIsMadeEverywhere) {
  Cluster c;
  const Outcome o = c.Do(2, Set("user.a", "1"));
  EXPECT_EQ(o.kind, Outcome::kDone);
  EXPECT_EQ(o.generation, 8u);
  for (size_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(c[i].node.acceptor().generation(), 8u);
    EXPECT_EQ(c[i].node.acceptor().conf().option().at("user.a"), "1");
    EXPECT_THAT(c[i].node.participant().lock_holder(), IsEmpty());
  }
}

TEST(Transaction, ADeadMinorityIsNamedAndCatchesUp) {
  Cluster c;
  c.down = {"m3"};
  const Outcome o = c.Do(1, Set("user.a", "1"));
  EXPECT_EQ(o.kind, Outcome::kDone);
  EXPECT_THAT(o.unreachable, ElementsAre("m3"));
  EXPECT_EQ(c[3].node.acceptor().generation(), 7u);
  c.down.clear();
  c.Pass(std::chrono::seconds(3));
  EXPECT_EQ(c[3].node.acceptor().generation(), 8u);
}

TEST(Transaction, WithoutAMajorityNothingIsChangedAndTheMissingAreNamed) {
  Cluster c;
  c.down = {"m2", "m3"};
  Command set = Set("user.a", "1");
  set.timeout = std::chrono::seconds(1);
  const Outcome o = c.Do(1, set);
  EXPECT_EQ(o.kind, Outcome::kNothingChanged);
  EXPECT_THAT(o.status.message(),
              HasSubstr("1 of 3 peers answer, 2 are needed; missing: host2:7400, host3:7400"));
}

TEST(Transaction, ARefusalNamesPeerPhaseAndReason) {
  Cluster c;
  c[3].objection = Status(EINVAL, "its port is taken");
  Outcome o = c.Do(1, Set("user.a", "1"));
  EXPECT_EQ(o.kind, Outcome::kNothingChanged);
  EXPECT_EQ(o.status.message(),
            "set user.a 1 failed in stage on peer host3:7400: its port is taken. Nothing was changed");
  c[3].objection = Status();
  c[2].bricks = Status(EIO, "disk d1 is sick");
  o = c.Do(1, Set("user.a", "1"));
  EXPECT_EQ(o.status.message(),
            "set user.a 1 failed in brick on peer host2:7400: disk d1 is sick. Nothing was changed");
  c[2].bricks = Status();
  EXPECT_EQ(c.Do(1, Set("user.a", "1")).kind, Outcome::kDone);  // no lock is left behind
}

TEST(Transaction, ADryRunSaysWhatWouldChange) {
  Cluster c;
  Command set = Set("user.a", "1");
  set.dry_run = true;
  const Outcome o = c.Do(1, set);
  EXPECT_EQ(o.kind, Outcome::kNothingChanged);
  EXPECT_TRUE(o.status.ok());
  EXPECT_THAT(o.preview, ElementsAre("option user.a: default -> 1"));
  EXPECT_EQ(c[1].node.acceptor().generation(), 7u);
}

TEST(Transaction, TheNextOriginatorFinishesWhatTheLastOneLeft) {
  Cluster c;
  // m1 has got its change accepted by m3, and died before anybody learned of it.
  pb::Change change = Set("user.a", "1").change;
  const pb::ClusterConf left = *Apply(ThreeMembers(), change, "t-left", "set user.a 1");
  pb::Ballot ballot;
  ballot.set_counter(3);
  ballot.set_member("m1");
  ASSERT_TRUE(c[3].node.acceptor().Accept(ballot, left));
  c.down = {"m1"};
  const Outcome o = c.Do(2, Set("user.b", "2"));
  EXPECT_EQ(o.kind, Outcome::kDone);
  EXPECT_EQ(o.generation, 9u);
  EXPECT_EQ(c[2].node.acceptor().conf().option().at("user.a"), "1");
  EXPECT_EQ(c[2].node.acceptor().conf().option().at("user.b"), "2");
}

TEST(Transaction, TheLockOfADeadOriginatorRunsOut) {
  Cluster c;
  c[1].node.Submit(Set("user.a", "1"), [](const Outcome&) {});
  for (size_t n = c.messages.size(); n > 0; --n) {  // its LOCKs arrive, nothing else does
    auto [to, message] = c.messages.front();
    c.messages.pop_front();
    c[static_cast<size_t>(to[1] - '0')].node.OnMessage(message);
  }
  c.messages.clear();
  c.down = {"m1"};
  EXPECT_FALSE(c[2].node.participant().lock_holder().empty());
  EXPECT_EQ(c.Do(2, Set("user.b", "2"), std::chrono::seconds(10)).kind, Outcome::kDone);
}

TEST(Transaction, AMemberThatLostItsStateMayNotChangeAnything) {
  Cluster c;
  c.peers[0] = std::make_unique<Peer>(c, "m1", 2);
  EXPECT_THAT(c.Do(1, Set("user.a", "1")).status.message(), HasSubstr("no vote"));
  Command readmit{.words = "peer repair m1"};
  readmit.change.mutable_readmit()->set_uuid("m1");
  readmit.change.mutable_readmit()->set_incarnation(2);
  EXPECT_EQ(c.Do(2, readmit).kind, Outcome::kDone);
  EXPECT_EQ(c.Do(1, Set("user.a", "1")).kind, Outcome::kDone);
}

// In a cluster of one every answer comes while the question is still being asked.
TEST(Transaction, AClusterOfOneWalksThePhasesOnceAndAnswersAtOnce) {
  Cluster c;
  MemoryStore store = StoreOf("m1", 1);
  store.record.mutable_conf()->mutable_member()->DeleteSubrange(1, 2);
  Peer alone(c, "m1", store);
  std::vector<Outcome> outcomes;
  const auto submit = [&](Command command) {
    alone.node.Submit(std::move(command), [&](const Outcome& o) { outcomes.push_back(o); });
  };
  submit(Set("user.a", "1"));
  Command refused{.words = "volume delete nothing"};
  refused.change.mutable_delete_volume()->set_name("nothing");
  submit(refused);
  submit({.words = "volume status", .read = true});
  Command dry = Set("user.a", "2");
  dry.dry_run = true;
  submit(dry);
  alone.node.OnTimer();
  ASSERT_EQ(outcomes.size(), 4u);
  EXPECT_EQ(outcomes[0].kind, Outcome::kDone);
  EXPECT_EQ(outcomes[1].kind, Outcome::kNothingChanged);
  EXPECT_THAT(outcomes[1].status.message(), HasSubstr("there is no volume"));
  EXPECT_EQ(outcomes[2].kind, Outcome::kDone);
  EXPECT_EQ(outcomes[3].preview.size(), 1u);
  EXPECT_EQ(alone.node.participant().unexpected(), 0u);
  ASSERT_EQ(alone.node.history().entries().size(), 4u);
  std::vector<std::string_view> states{"Default"};
  for (const auto& step : alone.node.history().entries().front().log.entries()) {
    if (step.to != states.back()) states.push_back(step.to);
  }
  EXPECT_THAT(states, ElementsAre("Default", "Lock sent", "Stage op sent", "Brick op sent", "Commit op sent",
                                  "Unlock sent", "Default"));
  for (const History::Entry& e : alone.node.history().entries()) EXPECT_EQ(e.log.unexpected(), 0u) << e.words;
}

// ---- members that are lost for good

Command GivingUp(const std::vector<std::string>& uuids) {
  Command c{.words = "give up"};
  for (const std::string& uuid : uuids) c.change.mutable_give_up_members()->add_uuid(uuid);
  c.change.set_originator("m1");
  return c;
}

TEST(GiveUp, TheLastOneGoesOnAlone) {
  Cluster c;
  c.down = {"m2", "m3"};
  EXPECT_EQ(c.Do(1, Set("user.a", "1"), std::chrono::seconds(25)).kind, Outcome::kNothingChanged);
  const Outcome o = c.Do(1, GivingUp({"m2", "m3"}));
  EXPECT_EQ(o.kind, Outcome::kDone) << o.status.ToString();
  EXPECT_EQ(o.generation, 8 + kGiveUpSkips);
  EXPECT_EQ(c.Do(1, Set("user.a", "1")).kind, Outcome::kDone);
}

TEST(GiveUp, AllThatAreLeftAreNeeded) {
  Cluster c;
  c.down = {"m2", "m3"};
  const Outcome o = c.Do(1, GivingUp({"m3"}), std::chrono::seconds(25));
  EXPECT_EQ(o.kind, Outcome::kNothingChanged);
  EXPECT_THAT(o.status.message(),
              HasSubstr("1 of 3 peers answer, 2 are needed; missing: host2:7400, host3:7400"));
}

TEST(GiveUp, WhatOneThatIsLeftHasAcceptedIsMadeFirst) {
  Cluster c;
  Result<pb::ClusterConf> left =
      Apply(c[1].node.acceptor().conf(), Set("user.a", "kept").change, "t-left", "left");
  ASSERT_TRUE(left.ok());
  pb::Ballot ballot;
  ballot.set_counter(3);
  ballot.set_member("m3");
  ASSERT_TRUE(c[1].node.acceptor().Accept(ballot, *left));  // and by m3, perhaps, which has told its user
  c.down = {"m2", "m3"};
  EXPECT_EQ(c.Do(1, GivingUp({"m2", "m3"})).kind, Outcome::kDone);
  EXPECT_EQ(c[1].node.acceptor().conf().option().at("user.a"), "kept");
  EXPECT_EQ(c[1].node.acceptor().conf().member_size(), 1);
}

TEST(GiveUp, OneThatTurnsUpAllTheSameIsOutWhateverItHasDecided) {
  Cluster c;
  c.down = {"m1"};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(c.Do(2, Set("user.a", std::to_string(i))).kind, Outcome::kDone);
  c.down = {"m2", "m3"};
  EXPECT_EQ(c.Do(1, GivingUp({"m2", "m3"})).kind, Outcome::kDone);
  c.down = {};
  c.Pass(std::chrono::seconds(5));
  for (size_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(c[i].node.acceptor().conf().member_size(), 1) << i;
    EXPECT_EQ(c[i].node.acceptor().generation(), 8 + kGiveUpSkips) << i;
  }
  EXPECT_THAT(c[2].node.detached(), HasSubstr("it was detached"));
}

}  // namespace
}  // namespace kfs::meta

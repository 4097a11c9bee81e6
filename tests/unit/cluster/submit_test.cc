// Commands that are sent again under their id, and what is known of those that have ended.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster_fixture.h"

namespace kfs::meta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

Command SetAs(const std::string& id, const std::string& value) {
  Command command = Set("user.a", value);
  command.id = id;
  return command;
}

TEST(Submit, ACommandThatIsUnderWayIsNotBegunAgain) {
  Cluster c;
  std::vector<Outcome> outcomes;
  const auto done = [&](const Outcome& o) { outcomes.push_back(o); };
  EXPECT_EQ(c[1].node.Submit(SetAs("request-1", "1"), done), "request-1");
  EXPECT_EQ(c[1].node.Submit(SetAs("request-1", "1"), done), "request-1");
  EXPECT_EQ(c[1].node.transactions().size(), 1u);
  c.Deliver();
  ASSERT_EQ(outcomes.size(), 2u);
  for (const Outcome& o : outcomes) {
    EXPECT_EQ(o.kind, Outcome::kDone);
    EXPECT_EQ(o.generation, 8u);
  }
  EXPECT_EQ(c[2].node.acceptor().generation(), 8u);
  EXPECT_EQ(c[2].node.acceptor().conf().transaction(), "request-1");
}

TEST(Submit, AnIdThatWasDecidedIsDoneAtOnceOnAnyMember) {
  Cluster c;
  EXPECT_EQ(c.Do(1, SetAs("request-1", "1")).kind, Outcome::kDone);
  EXPECT_EQ(c.Do(2, Set("user.b", "2")).generation, 9u);
  std::optional<Outcome> outcome;
  c[3].node.Submit(SetAs("request-1", "1"), [&](const Outcome& o) { outcome = o; });
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->kind, Outcome::kDone);
  EXPECT_EQ(outcome->generation, 9u);
  c.Pass(std::chrono::seconds(1));
  EXPECT_EQ(c[1].node.acceptor().generation(), 9u);
}

TEST(Submit, AnotherCommandUnderAnIdThatIsInUseIsRefused) {
  Cluster c;
  c[1].node.Submit(SetAs("request-1", "1"), [](const Outcome&) {});
  std::optional<Outcome> outcome;
  EXPECT_EQ(c[1].node.Submit(SetAs("request-1", "2"), [&](const Outcome& o) { outcome = o; }), "");
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->kind, Outcome::kNothingChanged);
  EXPECT_THAT(outcome->status.message(), HasSubstr("set user.a 1"));
}

TEST(Submit, AnIdThatCameToNothingMayBeTriedAgain) {
  Cluster c;
  c[3].objection = Status(EINVAL, "no");
  EXPECT_EQ(c.Do(1, SetAs("request-1", "1")).kind, Outcome::kNothingChanged);
  c[3].objection = Status();
  c.Pass(std::chrono::seconds(1));
  EXPECT_EQ(c.Do(1, SetAs("request-1", "1")).kind, Outcome::kDone);
}

TEST(Submit, WhatHasEndedIsRemembered) {
  Cluster c;
  c[3].objection = Status(EINVAL, "its port is taken");
  const MonoTime before = c.now;
  c.Do(1, SetAs("request-1", "1"));
  c[3].objection = Status();
  c.Do(1, {.words = "volume status", .read = true});
  const History& history = c[1].node.history();
  ASSERT_EQ(history.entries().size(), 2u);
  const History::Entry* refused = history.Find("request-1");
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(refused->words, "set user.a 1");
  EXPECT_EQ(refused->kind, Outcome::kNothingChanged);
  EXPECT_THAT(refused->status.message(), HasSubstr("its port is taken"));
  EXPECT_THAT(refused->answers, ElementsAre(Pair("m1", "accepted"), Pair("m2", "accepted"),
                                            Pair("m3", "refused in stage: its port is taken")));
  EXPECT_EQ(refused->log.entries().front().event, "START_LOCK");
  EXPECT_EQ(refused->log.entries().back().to, "Default");
  EXPECT_GE(refused->started, before);
  EXPECT_LE(refused->ended, c.now);
  EXPECT_TRUE(history.entries().back().read);
  EXPECT_EQ(history.entries().back().kind, Outcome::kDone);
  EXPECT_EQ(history.Find("no such"), nullptr);
}

TEST(Submit, TheHistoryIsBounded) {
  Cluster c;
  for (size_t i = 0; i < History::kKept + 5; ++i) {
    c.Do(1, {.words = std::to_string(i), .read = true});
    c.Pass(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(c[1].node.history().entries().size(), History::kKept);
  EXPECT_EQ(c[1].node.history().entries().front().words, "5");
}

TEST(Submit, TransactionsOfOthersAreListed) {
  Cluster c;
  c[1].node.Submit(SetAs("request-1", "1"), [](const Outcome&) {});
  c.lose = [](const std::string&, const pb::PeerMessage& m) { return m.has_reply(); };
  c.Deliver();
  const std::vector<Participant::View> list = c[2].node.participant().List();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].id, "request-1");
  EXPECT_EQ(list[0].originator, "m1");
  EXPECT_EQ(list[0].command, "set user.a 1");
  EXPECT_EQ(list[0].state, "Locked");
  EXPECT_FALSE(list[0].read);
  EXPECT_GT(list[0].until, c.now);
}

}  // namespace
}  // namespace kfs::meta

#include "metaserver/cluster/acceptor.h"

#include <gtest/gtest.h>

#include "memory_store.h"

namespace kfs::meta {
namespace {

pb::Ballot BallotOf(uint64_t counter, const std::string& member = "m1") {
  pb::Ballot b;
  b.set_counter(counter);
  b.set_member(member);
  return b;
}

pb::ClusterConf Next(const std::string& value) {
  pb::Change change;
  change.mutable_set_option()->set_name("user.o");
  change.mutable_set_option()->set_value(value);
  return *Apply(ThreeMembers(), change, "t-" + value, "set o " + value);
}

TEST(Acceptor, APromiseHoldsAgainstLowerBallotsAlsoAfterARestart) {
  MemoryStore store = StoreOf("m1");
  {
    Acceptor a(store);
    EXPECT_TRUE(a.Promise(BallotOf(5)));
    EXPECT_EQ(store.saved, 1);
    EXPECT_TRUE(a.Promise(BallotOf(5)));  // the same one again
    EXPECT_EQ(store.saved, 1);
    EXPECT_FALSE(a.Promise(BallotOf(4)));
    EXPECT_TRUE(a.Promise(BallotOf(5, "m2")));  // members break ties
    EXPECT_FALSE(a.Promise(BallotOf(5, "m1")));
  }
  Acceptor a(store);
  EXPECT_FALSE(a.Promise(BallotOf(4)));
  EXPECT_FALSE(a.Accept(BallotOf(4), Next("x")));
  EXPECT_TRUE(a.Accept(BallotOf(6), Next("x")));  // a promise in itself
  EXPECT_FALSE(a.Promise(BallotOf(5, "m3")));
}

TEST(Acceptor, WhatIsAcceptedIsDurableAndReplacedByHigherBallotsOnly) {
  MemoryStore store = StoreOf("m1");
  {
    Acceptor a(store);
    EXPECT_EQ(a.accepted().counter(), 0u);
    EXPECT_TRUE(a.Accept(BallotOf(3), Next("x")));
  }
  Acceptor a(store);
  EXPECT_EQ(a.accepted().counter(), 3u);
  EXPECT_TRUE(Same(a.accepted_value(), Next("x")));
  EXPECT_FALSE(a.Accept(BallotOf(2), Next("y")));
  EXPECT_TRUE(Same(a.accepted_value(), Next("x")));
  EXPECT_TRUE(a.Accept(BallotOf(4), Next("y")));
  EXPECT_TRUE(Same(a.accepted_value(), Next("y")));
}

TEST(Acceptor, LearningEndsTheRound) {
  MemoryStore store = StoreOf("m1");
  Acceptor a(store);
  int told = 0;
  a.OnLearned([&](const pb::ClusterConf& before) {
    ++told;
    EXPECT_EQ(before.generation(), 7u);
  });
  EXPECT_TRUE(a.Accept(BallotOf(3), Next("x")));
  EXPECT_EQ(a.Learn(Next("y")), Acceptor::Learned::kNew);  // others decided otherwise
  EXPECT_EQ(a.generation(), 8u);
  EXPECT_EQ(a.accepted().counter(), 0u);
  EXPECT_EQ(a.promised().counter(), 0u);
  EXPECT_EQ(a.Learn(Next("y")), Acceptor::Learned::kKnown);
  EXPECT_EQ(a.Learn(ThreeMembers()), Acceptor::Learned::kKnown);  // older
  EXPECT_EQ(told, 1);
  EXPECT_EQ(Acceptor(store).generation(), 8u);
}

TEST(Acceptor, AnotherConfigurationUnderOneGenerationIsNotTaken) {
  MemoryStore store = StoreOf("m1");
  Acceptor a(store);
  EXPECT_EQ(a.Learn(Next("x")), Acceptor::Learned::kNew);
  EXPECT_EQ(a.Learn(Next("y")), Acceptor::Learned::kConflict);
  EXPECT_TRUE(Same(a.conf(), Next("x")));
}

TEST(Acceptor, OfTwoSidesThatHaveGivenEachOtherUpOneGoesOn) {
  pb::ClusterConf one = Next("one"), other = Next("other");
  one.mutable_member()->DeleteSubrange(1, 2);    // m1
  other.mutable_member()->DeleteSubrange(0, 1);  // m2, m3
  if (Checksum(one) > Checksum(other)) std::swap(one, other);
  MemoryStore store = StoreOf("m1");
  Acceptor a(store);
  EXPECT_EQ(a.Learn(one), Acceptor::Learned::kNew);
  EXPECT_EQ(a.Learn(other), Acceptor::Learned::kNew);
  EXPECT_EQ(a.Learn(one), Acceptor::Learned::kKnown);
  EXPECT_TRUE(Same(a.conf(), other));
  EXPECT_TRUE(Same(Acceptor(store).conf(), other));
}

}  // namespace
}  // namespace kfs::meta

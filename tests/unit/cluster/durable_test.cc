// Disks that take their time: nobody hears of what is not durable yet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster_fixture.h"

namespace kfs::meta {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// To whom the phases' messages are that have left and have not arrived.
std::vector<std::string> Sent(const Cluster& c) {
  std::vector<std::string> out;
  for (const auto& [to, m] : c.messages) {
    if (m.has_request() || m.has_reply()) out.push_back(m.from() + ">" + to);
  }
  return out;
}

TEST(Durable, NobodyIsAskedBeforeOnesOwnPromiseIsOnDisk) {
  Cluster c;
  c[1].store.slow = true;
  std::optional<Outcome> outcome;
  c[1].node.Submit(Set("user.a", "1"), [&](const Outcome& o) { outcome = o; });
  EXPECT_EQ(c[1].store.saved, 1);
  EXPECT_THAT(Sent(c), IsEmpty());
  c[1].store.Sync();
  EXPECT_THAT(Sent(c), ElementsAre("m1>m2", "m1>m3"));
}

TEST(Durable, APromiseIsAnsweredWhenItIsOnDisk) {
  Cluster c;
  c[2].store.slow = true;
  c[1].node.Submit(Set("user.a", "1"), [](const Outcome&) {});
  while (!c.messages.empty() && Sent(c) != std::vector<std::string>{"m3>m1"}) {
    auto [to, message] = c.messages.front();
    c.messages.pop_front();
    c[to == "m1" ? 1 : to == "m2" ? 2 : 3].node.OnMessage(message);
  }
  EXPECT_THAT(Sent(c), ElementsAre("m3>m1"));  // m2 has promised, and says nothing
  EXPECT_NE(c[2].node.acceptor().promised().counter(), 0u);
  c[2].store.Sync();
  EXPECT_THAT(Sent(c), ElementsAre("m3>m1", "m2>m1"));
}

TEST(Durable, WhatIsLearnedIsUsedOnceItIsOnDisk) {
  Cluster c;
  c[3].store.slow = true;
  std::vector<uint64_t> told;
  c[3].node.acceptor().OnLearned([&](const pb::ClusterConf& before) {
    told.push_back(before.generation());
    told.push_back(c[3].node.acceptor().durable().conf().generation());
  });
  EXPECT_EQ(c[3].node.acceptor().Learn(*Apply(ThreeMembers(), Set("user.a", "1").change, "t1", "set")),
            Acceptor::Learned::kNew);
  EXPECT_EQ(c[3].node.acceptor().generation(), 8u);
  EXPECT_EQ(c[3].node.acceptor().durable().conf().generation(), 7u);
  EXPECT_THAT(told, IsEmpty());
  c[3].store.Sync();
  EXPECT_THAT(told, ElementsAre(7, 8));
}

TEST(Durable, AloneAChangeIsMadeWhenItIsOnDisk) {
  Cluster c;
  MemoryStore alone = StoreOf("m1");
  alone.record.mutable_conf()->mutable_member()->DeleteSubrange(1, 2);
  alone.slow = true;
  Peer peer(c, "m1", alone);
  std::optional<Outcome> outcome;
  peer.node.Submit(Set("user.a", "1"), [&](const Outcome& o) { outcome = o; });
  for (int i = 0; i < 10 && !outcome; ++i) {
    EXPECT_EQ(peer.node.acceptor().durable().conf().generation(), 7u);
    ASSERT_FALSE(peer.store.syncs.empty());
    peer.store.Sync();
  }
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->kind, Outcome::kDone);
  EXPECT_EQ(peer.node.acceptor().durable().conf().generation(), 8u);
  EXPECT_GE(peer.store.saved, 3);  // promised, accepted, learned
}

TEST(Durable, WhatIsSentLaterLeavesLater) {
  MemoryStore store = StoreOf("m1");
  store.slow = true;
  Acceptor a(store);
  std::vector<int> order;
  pb::Ballot ballot;
  ballot.set_member("m1");
  for (int i = 1; i <= 3; ++i) {
    ballot.set_counter(static_cast<uint64_t>(i));
    EXPECT_TRUE(a.Promise(ballot));
    a.WhenDurable([&, i] { order.push_back(i); });
  }
  const auto syncs = std::exchange(store.syncs, {});
  syncs[1]();  // and so the first
  EXPECT_THAT(order, ElementsAre(1, 2));
  a.WhenDurable([&] { order.push_back(4); });
  syncs[0]();
  syncs[2]();
  EXPECT_THAT(order, ElementsAre(1, 2, 3, 4));
  a.WhenDurable([&] { order.push_back(5); });
  EXPECT_THAT(order, ElementsAre(1, 2, 3, 4, 5));
}

TEST(Durable, WhatWaitsEndsWithItsMember) {
  MemoryStore store = StoreOf("m1");
  store.slow = true;
  bool told = false;
  {
    Acceptor a(store);
    pb::Ballot ballot;
    ballot.set_counter(1);
    EXPECT_TRUE(a.Promise(ballot));
    a.WhenDurable([&] { told = true; });
  }
  store.Sync();
  EXPECT_FALSE(told);
}

TEST(Durable, MessagesThatADiskKeepsFromLeavingAreBounded) {
  Cluster c;
  c.Pass(std::chrono::seconds(3));  // friends
  c[1].store.slow = true;
  c[1].node.Submit(Set("user.a", "1"), [](const Outcome&) {});
  c.Pass(std::chrono::seconds(600));
  EXPECT_EQ(c[1].node.acceptor().waiting(), DurableEnv::kWaitingMax);
  c[1].store.slow = false;
  c[1].store.Sync();
  EXPECT_EQ(c[1].node.acceptor().waiting(), 0u);
  EXPECT_EQ(c.Do(1, Set("user.b", "1")).kind, Outcome::kDone);
}

}  // namespace
}  // namespace kfs::meta

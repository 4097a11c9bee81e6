// Several metaservers: being led to the one that serves the volume, following it, and knowing who else there
// is.
#include <gtest/gtest.h>

#include <set>

#include "client/metaserver_list.h"
#include "tests/unit/client/fake_cluster.h"

namespace kfs::test {
namespace {

pb::LocateVolumeReply Located(uint64_t generation, std::vector<std::string> addresses) {
  pb::LocateVolumeReply reply;
  reply.set_generation(generation);
  reply.set_owner(addresses[0]);
  for (const auto& a : addresses) reply.add_metaserver(a);
  return reply;
}

TEST(MetaserverList, TheOwnerIsTriedFirstAndThoseGivenLast) {
  MetaserverList list({"given:1", "b:1"});
  EXPECT_EQ(list.Order(), (std::vector<std::string>{"given:1", "b:1"}));
  EXPECT_EQ(list.Take(Located(3, {"a:1", "b:1", "c:1"})), MetaserverList::kNew);
  EXPECT_EQ(list.Take(Located(3, {"a:1", "b:1", "c:1"})), MetaserverList::kSame);
  std::set<std::string> seconds;
  for (int i = 0; i < 2; ++i) {
    const auto order = list.Order();
    ASSERT_EQ(order.size(), 4u);
    EXPECT_EQ(order.front(), "a:1");
    EXPECT_EQ(order.back(), "given:1");
    seconds.insert(order[1]);
  }
  EXPECT_EQ(seconds.size(), 2u);  // nobody is asked for ever
}

TEST(MetaserverList, WhatIsOlderOrEmptyIsIgnored) {
  MetaserverList list({"given:1"});
  EXPECT_EQ(list.Take(Located(3, {"a:1"})), MetaserverList::kNew);
  EXPECT_EQ(list.Take(Located(2, {"b:1"})), MetaserverList::kIgnored);
  EXPECT_EQ(list.Take(pb::LocateVolumeReply()), MetaserverList::kIgnored);
  EXPECT_EQ(list.owner(), "a:1");
}

TEST(MetaserverList, AVolumeIsGoneWhenMostMembersSaySo) {
  MetaserverList list({"given:1"});
  EXPECT_TRUE(list.SaidGone("given:1"));  // the only one there is
  (void)list.Take(Located(3, {"a:1", "b:1", "c:1"}));
  list.IsThere();
  EXPECT_FALSE(list.SaidGone("given:1"));  // a stranger now
  EXPECT_FALSE(list.SaidGone("b:1"));
  EXPECT_FALSE(list.SaidGone("b:1"));
  EXPECT_TRUE(list.SaidGone("c:1"));
}

class Metaservers : public ::testing::Test {
 protected:
  explicit Metaservers(size_t count = 3) : cluster(1, count) {
    cluster.On([&] { cluster.generation = 1; });
  }
  std::vector<FakeCluster::SeenOp> SeenOf(Op op) {
    return cluster.On([&] {
      std::vector<FakeCluster::SeenOp> all;
      for (const auto& s : cluster.seen) {
        if (s.op == op) all.push_back(s);
      }
      return all;
    });
  }
  FakeCluster cluster;
};

TEST_F(Metaservers, AMountIsLedToTheOwner) {
  cluster.On([&] { cluster.owner = 2; });
  auto client = cluster.Client();  // knows of 0 only
  EXPECT_TRUE(client->Stat({}, "/").ok());
  const auto opens = SeenOf(Op::kOpenSession);
  ASSERT_EQ(opens.size(), 2u);
  EXPECT_EQ(opens[0].at, 0u);
  EXPECT_EQ(opens[1].at, 2u);
}

TEST_F(Metaservers, AMovedVolumeIsFollowedUnderTheSameIds) {
  auto client = cluster.Client();
  cluster.On([&] {
    cluster.owner = 1;
    ++cluster.generation;
    ++cluster.incarnation;
  });
  auto made = client->Wait<Entry>([&](auto done) { client->Mkdir({}, kRootIno, "d", 0755, done); });
  EXPECT_TRUE(made.ok()) << made.status().ToString();
  const auto mkdirs = SeenOf(Op::kMkdir);
  ASSERT_EQ(mkdirs.size(), 2u);
  EXPECT_EQ(mkdirs[0].at, 0u);
  EXPECT_EQ(mkdirs[1].at, 1u);
  EXPECT_EQ(mkdirs[0].op_id, mkdirs[1].op_id);
  cluster.On([&] {
    EXPECT_EQ(cluster.executed, 1);
    EXPECT_EQ(cluster.sessions.size(), 1u);
    EXPECT_EQ(cluster.reclaims.size(), 1u);
  });
}

TEST_F(Metaservers, WhatTheOldOwnerHadDoneIsNotDoneAgain) {
  auto client = cluster.Client();
  std::vector<IncomingCallPtr> unanswered;
  cluster.On([&] {
    cluster.swallow_answer = [&](const IncomingCallPtr& call) {
      unanswered.push_back(call);
      return true;
    };
  });
  Waiter<Result<Entry>> waiter;
  client->Mkdir({}, kRootIno, "d", 0755, waiter.Fn());
  cluster.Until([&] { return cluster.executed == 1; });
  cluster.On([&] {
    cluster.swallow_answer = nullptr;
    cluster.owner = 1;
    ++cluster.generation;
    cluster.StopMeta(0);
    unanswered.clear();
  });
  EXPECT_TRUE(waiter.Get().ok());
  cluster.On([&] { EXPECT_EQ(cluster.executed, 1); });
}

TEST_F(Metaservers, AQueryAnsweredByAFormerOwnerIsAskedAgainToo) {
  auto client = cluster.Client();
  cluster.On([&] {
    cluster.owner = 2;
    ++cluster.generation;
  });
  EXPECT_TRUE(client->Stat({}, "/").ok());
}

TEST_F(Metaservers, AMountGivenOneAddressSurvivesThatMachine) {
  auto client = cluster.Client();
  cluster.Until([&] { return cluster.Seen(Op::kLocateVolume) >= 1; });
  ASSERT_TRUE(client->Stat({}, "/").ok());  // the answer to LocateVolume is here as well
  cluster.On([&] {
    cluster.owner = 2;
    ++cluster.generation;
    cluster.StopMeta(0);
  });
  EXPECT_TRUE(client->Stat({}, "/").ok());
}

TEST_F(Metaservers, NewMembersAreLearnedFromTheKeepAlive) {
  cluster.On([&] {
    cluster.ttl_ms = 300;
    cluster.members = {0};
  });
  auto client = cluster.Client();
  cluster.Until([&] { return cluster.Seen(Op::kLocateVolume) == 1; });
  cluster.On([&] {
    cluster.members = {0, 1};
    ++cluster.generation;
  });
  cluster.Until([&] { return cluster.Seen(Op::kLocateVolume) == 2; });
  ASSERT_TRUE(client->Stat({}, "/").ok());
  cluster.On([&] {
    cluster.owner = 1;
    ++cluster.generation;
    cluster.StopMeta(0);
  });
  EXPECT_TRUE(client->Stat({}, "/").ok());
}

TEST_F(Metaservers, AMetaserverThatCannotLocateIsAskedOnceAGeneration) {
  cluster.On([&] {
    cluster.ttl_ms = 300;
    cluster.intercept = [](const IncomingCallPtr& call) {
      if (call->op() != Op::kLocateVolume) return false;
      call->Fail(Status(EOPNOTSUPP, "an old one"));
      return true;
    };
  });
  auto client = cluster.Client();
  cluster.Until([&] { return cluster.Seen(Op::kKeepAlive) >= 4; });
  EXPECT_EQ(SeenOf(Op::kLocateVolume).size(), 1u);
}

TEST_F(Metaservers, ThoseThatDisagreeAreNotStormed) {
  cluster.On([&] {
    cluster.owner = 2;
    cluster.locates_to = {1, 0, 0};
    cluster.StopMeta(2);
  });
  auto options = cluster.ClientOptions();
  options.connect_timeout = std::chrono::seconds(2);
  auto client = KfsClient::Connect(options);
  ASSERT_FALSE(client.ok());
  EXPECT_NE(client.status().message().find("is served by the metaserver at"), std::string::npos)
      << client.status().message();
  // At once every second, else after a back-off that doubles from 20 ms.
  EXPECT_LE(SeenOf(Op::kOpenSession).size(), 15u);
}

TEST_F(Metaservers, OneThatDoesNotKnowTheVolumeYetDoesNotEndTheMount) {
  auto client = cluster.Client();
  cluster.Until([&] { return cluster.Seen(Op::kLocateVolume) >= 1; });
  ASSERT_TRUE(client->Stat({}, "/").ok());
  cluster.On([&] {
    cluster.without_volume = {1};
    cluster.seen.clear();
    cluster.StopMeta(0);
  });
  Waiter<Result<Entry>> waiter;
  client->GetAttr({}, kRootIno, waiter.Fn());
  cluster.Until([&] {
    return std::any_of(cluster.seen.begin(), cluster.seen.end(), [](const auto& s) { return s.at == 1; });
  });
  cluster.On([&] { cluster.StartMeta(0); });
  EXPECT_TRUE(waiter.Get().ok());
}

TEST_F(Metaservers, AVolumeThatNobodyKnowsAnyMoreIsGone) {
  auto client = cluster.Client();
  cluster.Until([&] { return cluster.Seen(Op::kLocateVolume) >= 1; });
  ASSERT_TRUE(client->Stat({}, "/").ok());
  cluster.On([&] {
    cluster.without_volume = {0, 1, 2};
    cluster.DropConnections();
  });
  EXPECT_EQ(client->Stat({}, "/").status().err(), ESTALE);
}

}  // namespace
}  // namespace kfs::test

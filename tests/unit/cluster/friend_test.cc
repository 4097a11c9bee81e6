// One friendship: each step of the machine, with the peer's messages written by hand.
#include "metaserver/cluster/friend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "memory_store.h"
#include "metaserver/cluster/envelope.h"

namespace kfs::meta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using S = FriendState;
constexpr auto kTick = std::chrono::milliseconds(50);

struct Env : ClusterEnv {
  MonoTime Now() const override { return now; }
  uint64_t Random() override { return 7; }
  std::string NewTransactionId() override { return "t"; }
  void Send(const std::string&, const pb::PeerMessage& message) override { sent.push_back(message); }
  bool Reachable(const std::string&) const override { return reachable; }
  Status Validate(const pb::Change&, const pb::ClusterConf&) override { return {}; }
  void Bricks(const pb::ClusterConf&, const pb::Ballot&, bool,
              std::function<void(Status, std::string)>) override {}
  MonoTime now{std::chrono::hours(1)};
  bool reachable = true;
  std::vector<pb::PeerMessage> sent;
};

pb::ClusterConf Next(pb::ClusterConf conf, const std::string& value = "1") {
  pb::Change change;
  change.mutable_set_option()->set_name("user.a");
  change.mutable_set_option()->set_value(value + " after " + std::to_string(conf.generation()));
  return *Apply(conf, change, "t" + value, "set a " + value);
}

// m1, looking at m2.
class Friend : public testing::Test {
 protected:
  // From the peer, which has this configuration.
  pb::PeerMessage From(const pb::ClusterConf& conf) {
    pb::PeerMessage m;
    m.set_from("m2");
    m.set_incarnation(1);
    m.set_cluster_id("test");
    m.set_generation(conf.generation());
    m.set_checksum(Checksum(conf));
    return m;
  }
  void Take(const pb::PeerMessage& message) {
    machine.Heard(message);
    machine.OnMessage(message);
  }
  void Take(pb::PeerFriend::Kind kind, const pb::ClusterConf& conf = ThreeMembers(),
            const std::string& words = "") {
    pb::PeerMessage m = From(conf);
    m.mutable_friendship()->set_kind(kind);
    m.mutable_friendship()->set_words(words);
    Take(m);
  }
  void TakeHello(const pb::ClusterConf& conf = ThreeMembers()) {
    pb::PeerMessage m = From(conf);
    m.mutable_hello();
    Take(m);
  }
  void Pass(Duration time) {
    for (Duration t{}; t < time; t += kTick) {
      env.now += kTick;
      machine.OnTimer();
    }
  }
  void Connect(bool yes = true) {
    env.reachable = yes;
    machine.OnTimer();
  }
  void BecomeFriends() {
    Connect();
    Take(pb::PeerFriend::REQUEST);
    Take(pb::PeerFriend::ACC);
    ASSERT_EQ(machine.state(), S::kBefriended);
    env.sent.clear();
  }
  // What has been sent since, in words.
  std::vector<std::string> Sent() {
    std::vector<std::string> out;
    for (const pb::PeerMessage& m : env.sent)
      out.push_back(m.has_hello() ? "hello" : pb::PeerFriend::Kind_Name(m.friendship().kind()));
    env.sent.clear();
    return out;
  }

  Env env;
  MemoryStore store = StoreOf("m1");
  Acceptor acceptor{store};
  FriendMachine machine{env, acceptor, "m2", "host2:7400"};
};

TEST_F(Friend, IsAskedOnceThereIsAConnection) {
  Connect(false);
  machine.Inject(FriendEvent::kProbe);
  Pass(std::chrono::seconds(5));
  EXPECT_EQ(machine.state(), S::kDefault);
  EXPECT_THAT(Sent(), IsEmpty());
  Connect();
  EXPECT_EQ(machine.state(), S::kReqSent);
  EXPECT_THAT(Sent(), ElementsAre("REQUEST"));
  const auto& last = machine.log().entries().back();
  EXPECT_EQ(last.from, "Default");
  EXPECT_EQ(last.to, "Friend request sent");
  EXPECT_EQ(last.event, "INIT_FRIEND_REQ");
}

TEST_F(Friend, BothAskAtOnce) {
  Connect();
  Take(pb::PeerFriend::REQUEST);
  EXPECT_EQ(machine.state(), S::kConnectedAccepted);
  EXPECT_THAT(Sent(), ElementsAre("REQUEST", "ACC"));
  Take(pb::PeerFriend::ACC);
  EXPECT_EQ(machine.state(), S::kBefriended);
  EXPECT_THAT(Sent(), ElementsAre("hello"));
  EXPECT_EQ(WordsFor(machine.state()), "Peer in Cluster");
}

TEST_F(Friend, TheAnswerMayComeBeforeItsRequest) {
  Connect();
  Take(pb::PeerFriend::ACC);
  EXPECT_EQ(machine.state(), S::kReqAccepted);
  Take(pb::PeerFriend::REQUEST);
  EXPECT_EQ(machine.state(), S::kBefriended);
}

TEST_F(Friend, OneHalfTwiceIsNoFriendship) {
  Connect();
  Take(pb::PeerFriend::ACC);
  Take(pb::PeerFriend::ACC);
  EXPECT_EQ(machine.state(), S::kReqAccepted);
  Connect(false);
  Connect();
  Take(pb::PeerFriend::REQUEST);
  Take(pb::PeerFriend::REQUEST);
  EXPECT_EQ(machine.state(), S::kConnectedAccepted);
}

TEST_F(Friend, ItsRequestComesBeforeWeCanReachIt) {
  Connect(false);
  Take(pb::PeerFriend::REQUEST);
  EXPECT_EQ(machine.state(), S::kProbeRcvd);
  EXPECT_THAT(Sent(), ElementsAre("ACC"));
  Connect();
  EXPECT_EQ(machine.state(), S::kConnectedAccepted);
  EXPECT_THAT(Sent(), ElementsAre("REQUEST"));
}

TEST_F(Friend, AHelloIsARequestWhereThereIsNoFriendship) {
  // We have started anew, the peer has not noticed.
  Connect();
  Take(pb::PeerFriend::ACC);
  TakeHello();
  EXPECT_EQ(machine.state(), S::kBefriended);
}

TEST_F(Friend, APeerThatHasForgottenIsTakenBack) {
  BecomeFriends();
  Take(pb::PeerFriend::REQUEST);
  EXPECT_EQ(machine.state(), S::kBefriended);
  EXPECT_THAT(Sent(), ElementsAre("ACC", "hello"));  // which makes it our friend, too
}

// Whatever is lost: no intermediate state is for good.
TEST_F(Friend, EveryIntermediateStateAsksAgain) {
  const std::vector<std::pair<S, std::function<void()>>> ways = {
      {S::kReqSent, [] {}},
      {S::kReqAccepted, [&] { Take(pb::PeerFriend::ACC); }},
      {S::kConnectedAccepted, [&] { Take(pb::PeerFriend::REQUEST); }},
      {S::kReqSentRcvd, [&] { Take(pb::PeerFriend::REQUEST, Next(ThreeMembers())); }},
      {S::kConnectedRcvd,
       [&] {
         Connect(false);
         Take(pb::PeerFriend::REQUEST, Next(ThreeMembers()));
         Connect();
       }},
  };
  for (const auto& [state, go] : ways) {
    Connect(false);
    Pass(std::chrono::seconds(3));  // whatever was: nothing is left of it
    ASSERT_EQ(machine.state(), S::kDefault);
    Connect();
    go();
    ASSERT_EQ(machine.state(), state) << NameOf(state);
    Sent();
    Pass(std::chrono::milliseconds(1600));
    EXPECT_EQ(machine.state(), S::kReqSent) << NameOf(state);
    EXPECT_THAT(Sent(), ElementsAre("REQUEST")) << NameOf(state);
    Pass(std::chrono::milliseconds(1600));
    EXPECT_THAT(Sent(), testing::Contains("REQUEST")) << "and again";
  }
}

TEST_F(Friend, WhatIsHeardWithoutAConnectionDoesNotStay) {
  for (const pb::ClusterConf& conf : {ThreeMembers(), Next(ThreeMembers())}) {
    Connect(false);
    Take(pb::PeerFriend::REQUEST, conf);
    ASSERT_EQ(machine.state(), conf.generation() == 7 ? S::kProbeRcvd : S::kReqRcvd);
    Pass(std::chrono::milliseconds(1600));
    EXPECT_EQ(machine.state(), S::kDefault);
  }
}

TEST_F(Friend, RepeatedRequestsDoNotPutOffOurs) {
  Connect();
  Take(pb::PeerFriend::REQUEST);
  Sent();
  for (int i = 0; i < 4; ++i) {
    Pass(std::chrono::milliseconds(500));
    Take(pb::PeerFriend::REQUEST);
  }
  EXPECT_THAT(Sent(), testing::Contains("REQUEST"));
}

TEST_F(Friend, ANewerPeerIsAcceptedOnceItsConfigurationIsImported) {
  Connect();
  Take(pb::PeerFriend::REQUEST, Next(ThreeMembers()));
  EXPECT_EQ(machine.state(), S::kReqSentRcvd);
  EXPECT_THAT(Sent(), ElementsAre("REQUEST"));
  acceptor.Learn(Next(ThreeMembers()));
  machine.OnGeneration();
  EXPECT_EQ(machine.state(), S::kConnectedAccepted);
  EXPECT_THAT(Sent(), ElementsAre("ACC"));
}

TEST_F(Friend, AnOlderPeerIsAccepted) {
  acceptor.Learn(Next(ThreeMembers()));
  Connect();
  Take(pb::PeerFriend::REQUEST);
  EXPECT_EQ(machine.state(), S::kConnectedAccepted);
}

TEST_F(Friend, AConflictRejectsUntilBothAgree) {
  BecomeFriends();
  const pb::ClusterConf ours = Next(ThreeMembers(), "1"), theirs = Next(ThreeMembers(), "2");
  acceptor.Learn(ours);
  TakeHello(theirs);
  EXPECT_EQ(machine.state(), S::kRejected);
  EXPECT_EQ(WordsFor(machine.state()), "Peer Rejected");
  EXPECT_THAT(machine.reason(), HasSubstr("another configuration under generation 8"));
  ASSERT_EQ(env.sent.size(), 1u);
  EXPECT_THAT(env.sent[0].friendship().words(),
              HasSubstr("host1:7400 has another configuration under generation 8"));
  Sent();
  TakeHello(theirs);
  Take(pb::PeerFriend::REQUEST, theirs);
  EXPECT_EQ(machine.state(), S::kRejected);
  EXPECT_EQ(machine.quarrels(), 1u);
  Sent();
  Pass(std::chrono::seconds(3));
  EXPECT_THAT(Sent(), ElementsAre("REQUEST"));  // it goes on asking
  EXPECT_EQ(machine.state(), S::kRejected);
  // Logged once, whoever of the two says it, however often.
  for (int i = 0; i < 5; ++i) {
    Take(pb::PeerFriend::REQUEST, theirs);
    Take(pb::PeerFriend::RJT, theirs, "no");
  }
  EXPECT_EQ(machine.quarrels(), 2u);
  // Somebody has mended it.
  const pb::ClusterConf next = Next(ours, "3");
  acceptor.Learn(next);
  machine.OnGeneration();
  Take(pb::PeerFriend::REQUEST, next);
  EXPECT_EQ(machine.state(), S::kReqSent);
  Take(pb::PeerFriend::ACC, next);
  Take(pb::PeerFriend::REQUEST, next);
  EXPECT_EQ(machine.state(), S::kBefriended);
  EXPECT_THAT(machine.reason(), IsEmpty());
}

TEST_F(Friend, ARefusalIsTakenWithItsWords) {
  Connect();
  Take(pb::PeerFriend::RJT, ThreeMembers(), "you owe me money");
  EXPECT_EQ(machine.state(), S::kRejected);
  EXPECT_EQ(machine.reason(), "it refuses us: you owe me money");
  Take(pb::PeerFriend::ACC);
  EXPECT_EQ(machine.state(), S::kReqAccepted);
}

TEST_F(Friend, AFriendThatFallsSilentIsAskedAnew) {
  BecomeFriends();
  for (int i = 0; i < 10; ++i) {
    Pass(std::chrono::seconds(1));
    TakeHello();
  }
  EXPECT_EQ(machine.state(), S::kBefriended);
  Pass(FriendMachine::kSilence + kTick);
  EXPECT_EQ(machine.state(), S::kReqSent);
}

TEST_F(Friend, AFriendWithoutAConnectionStaysOne) {
  BecomeFriends();
  Connect(false);
  Pass(std::chrono::minutes(1));
  EXPECT_EQ(machine.state(), S::kBefriended);
  EXPECT_FALSE(machine.connected());
  EXPECT_THAT(Sent(), IsEmpty());
  Connect();
  EXPECT_THAT(Sent(), ElementsAre("hello"));  // compares what both have, at once
}

TEST_F(Friend, ADetachedPeerIsToldUntilItKnows) {
  BecomeFriends();
  pb::Change change;
  change.mutable_remove_member()->set_uuid("m2");
  const pb::ClusterConf without = *Apply(ThreeMembers(), change, "t", "peer detach host2:7400");
  acceptor.Learn(without);
  machine.Inject(FriendEvent::kInitRemoveFriend);
  EXPECT_EQ(machine.state(), S::kUnfriendSent);
  EXPECT_EQ(env.sent.at(0).friendship().conf().generation(), 8u);
  EXPECT_THAT(Sent(), ElementsAre("REMOVE"));
  Take(pb::PeerFriend::ACC);  // of a request, late: it does not know
  EXPECT_FALSE(machine.gone());
  Take(pb::PeerFriend::REQUEST);
  EXPECT_THAT(Sent(), ElementsAre("REMOVE"));
  Pass(std::chrono::milliseconds(1600));
  EXPECT_THAT(Sent(), ElementsAre("REMOVE"));
  Take(pb::PeerFriend::ACC, without);
  EXPECT_TRUE(machine.gone());
  EXPECT_EQ(machine.log().entries().back().event, "REMOVE_FRIEND");
}

TEST_F(Friend, ADetachedPeerThatNeverAnswersIsNotWaitedForForEver) {
  BecomeFriends();
  machine.Inject(FriendEvent::kInitRemoveFriend);
  Pass(std::chrono::minutes(2));
  EXPECT_TRUE(machine.gone());
}

TEST_F(Friend, NothingThatComesIsUnexpectedInAnyState) {
  int renamed = 0;
  const std::vector<std::function<void()>> steps = {
      [&] { Take(pb::PeerFriend::REQUEST, acceptor.conf()); },
      [&] { Take(pb::PeerFriend::REQUEST, Next(acceptor.conf())); },
      [&] { Take(pb::PeerFriend::REQUEST, Next(ThreeMembers(), "other")); },
      [&] { Take(pb::PeerFriend::ACC, acceptor.conf()); },
      [&] { Take(pb::PeerFriend::ACC, Next(ThreeMembers(), "other")); },
      [&] { Take(pb::PeerFriend::RJT); },
      [&] { TakeHello(acceptor.conf()); },
      [&] { TakeHello(Next(ThreeMembers(), "other")); },
      [&] { Connect(true); },
      [&] { Connect(false); },
      [&] { Pass(std::chrono::seconds(3)); },
      [&] { machine.Rename("host" + std::to_string(++renamed) + ":1"); },
      [&] {
        acceptor.Learn(Next(acceptor.conf()));
        machine.OnGeneration();
      },
      [&] {
        if (machine.state() != S::kUnfriendSent) machine.Inject(FriendEvent::kInitRemoveFriend);
      },
      [&] {
        if (machine.state() == S::kUnfriendSent) machine.Inject(FriendEvent::kProbe);
      },
      [&] { machine.Inject(FriendEvent::kRcvdRemoveFriend, "out"); },
  };
  acceptor.Learn(Next(ThreeMembers()));
  std::set<S> seen;
  uint32_t random = 1;
  for (int i = 0; i < 100000; ++i) {
    random = random * 1664525 + 1013904223;
    // Partings are rare, so that the rest gets somewhere.
    const size_t last = random % 31 == 0 ? steps.size() : steps.size() - 3;
    const size_t step = (random >> 8) % last;
    steps[step]();
    seen.insert(machine.state());
    ASSERT_EQ(machine.log().unexpected(), 0u) << "step " << i << ", which is " << step;
  }
  EXPECT_EQ(seen.size(), 11u);
}

}  // namespace
}  // namespace kfs::meta

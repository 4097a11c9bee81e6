// Whole transactions among three members whose messages arrive at once and in order. (The simulation has the
// other kinds of network.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <optional>

#include "memory_store.h"
#include "metaserver/cluster/node.h"

namespace kfs::meta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Cluster;

struct Peer : ClusterEnv {
  Peer(Cluster& c, const std::string& u, uint64_t incarnation = 1)
      : cluster(c), uuid(u), store(StoreOf(u, incarnation)), node(*this, store) {}
  MonoTime Now() const override;
  uint64_t Random() override { return 7; }
  std::string NewTransactionId() override { return uuid + "-" + std::to_string(++ids); }
  void Send(const std::string& to, const pb::PeerMessage& message) override;
  bool Reachable(const std::string& to) const override;
  Status Validate(const pb::ClusterConf&) override { return objection; }
  void Bricks(const pb::ClusterConf&, const pb::Ballot&, bool,
              std::function<void(Status, std::string)> done) override {
    done(bricks, uuid + "'s bricks");
  }

  Cluster& cluster;
  std::string uuid;
  MemoryStore store;
  Status objection, bricks;
  int ids = 0;
  ClusterNode node;
};

class Cluster {
 public:
  Cluster() {
    for (const char* uuid : {"m1", "m2", "m3"}) peers.push_back(std::make_unique<Peer>(*this, uuid));
  }
  Peer& operator[](size_t i) { return *peers[i - 1]; }
  void Deliver() {
    while (!messages.empty()) {
      auto [to, message] = messages.front();
      messages.pop_front();
      for (auto& p : peers) {
        if (p->uuid == to && !down.contains(to)) p->node.OnMessage(message);
      }
    }
  }
  // Time passes, everybody's timers run.
  void Pass(Duration time) {
    for (Duration t{}; t < time; t += std::chrono::milliseconds(50)) {
      now += std::chrono::milliseconds(50);
      for (auto& p : peers) {
        if (!down.contains(p->uuid)) p->node.OnTimer();
        Deliver();
      }
    }
  }
  Outcome Do(size_t at, Command command, Duration wait = std::chrono::seconds(5)) {
    std::optional<Outcome> outcome;
    last = (*this)[at].node.Submit(std::move(command), [&](const Outcome& o) { outcome = o; });
    Deliver();
    if (!outcome) Pass(wait);
    EXPECT_TRUE(outcome.has_value());
    return outcome.value_or(Outcome());
  }
  MonoTime now{std::chrono::hours(1)};
  std::vector<std::unique_ptr<Peer>> peers;
  std::deque<std::pair<std::string, pb::PeerMessage>> messages;
  std::set<std::string> down;
  bool notice_down = true;  // senders know that a peer is not there
  std::string last;
};

MonoTime Peer::Now() const { return cluster.now; }
void Peer::Send(const std::string& to, const pb::PeerMessage& message) {
  cluster.messages.emplace_back(to, message);
}
bool Peer::Reachable(const std::string& to) const {
  return !cluster.notice_down || !cluster.down.contains(to);
}

Command Set(const std::string& name, const std::string& value) {
  Command c{.words = "set " + name + " " + value};
  c.change.mutable_set_option()->set_name(name);
  c.change.mutable_set_option()->set_value(value);
  return c;
}

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
  const Outcome o = c.Do(1, {.words = "volume status", .read = true}, std::chrono::milliseconds(2000));
  EXPECT_EQ(o.kind, Outcome::kDone);
  EXPECT_THAT(o.unreachable, ElementsAre("m2", "m3"));
  EXPECT_EQ(o.reports.size(), 1u);
}

TEST(Transaction, AReadWaitsForNobodyAndKeepsNobodyOut) {
  Cluster c;
  std::optional<Outcome> change, read;
  c[1].node.Submit(Set("a", "1"), [&](const Outcome& o) { change = o; });  // its messages are on the way
  c[2].node.Submit({.words = "volume status", .read = true}, [&](const Outcome& o) { read = o; });
  c.Deliver();
  ASSERT_TRUE(change && read);
  EXPECT_EQ(change->kind, Outcome::kDone);
  EXPECT_EQ(read->kind, Outcome::kDone);
}

TEST(Transaction, AChangeIsMadeEverywhere) {
  Cluster c;
  const Outcome o = c.Do(2, Set("a", "1"));
  EXPECT_EQ(o.kind, Outcome::kDone);
  EXPECT_EQ(o.generation, 8u);
  for (size_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(c[i].node.acceptor().generation(), 8u);
    EXPECT_EQ(c[i].node.acceptor().conf().option().at("a"), "1");
    EXPECT_THAT(c[i].node.participant().lock_holder(), IsEmpty());
  }
}

TEST(Transaction, ADeadMinorityIsNamedAndCatchesUp) {
  Cluster c;
  c.down = {"m3"};
  const Outcome o = c.Do(1, Set("a", "1"));
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
  Command set = Set("a", "1");
  set.timeout = std::chrono::seconds(1);
  const Outcome o = c.Do(1, set);
  EXPECT_EQ(o.kind, Outcome::kNothingChanged);
  EXPECT_THAT(o.status.message(),
              HasSubstr("1 of 3 peers answer, 2 are needed; missing: host2:7400, host3:7400"));
}

TEST(Transaction, ARefusalNamesPeerPhaseAndReason) {
  Cluster c;
  c[3].objection = Status(EINVAL, "its port is taken");
  Outcome o = c.Do(1, Set("a", "1"));
  EXPECT_EQ(o.kind, Outcome::kNothingChanged);
  EXPECT_EQ(o.status.message(), "set a 1 failed in stage on peer host3:7400: its port is taken");
  c[3].objection = Status();
  c[2].bricks = Status(EIO, "disk d1 is sick");
  o = c.Do(1, Set("a", "1"));
  EXPECT_EQ(o.status.message(), "set a 1 failed in brick on peer host2:7400: disk d1 is sick");
  c[2].bricks = Status();
  EXPECT_EQ(c.Do(1, Set("a", "1")).kind, Outcome::kDone);  // no lock is left behind
}

TEST(Transaction, ADryRunSaysWhatWouldChange) {
  Cluster c;
  Command set = Set("a", "1");
  set.dry_run = true;
  const Outcome o = c.Do(1, set);
  EXPECT_EQ(o.kind, Outcome::kNothingChanged);
  EXPECT_TRUE(o.status.ok());
  EXPECT_THAT(o.preview, ElementsAre("option a: default -> 1"));
  EXPECT_EQ(c[1].node.acceptor().generation(), 7u);
}

TEST(Transaction, TheNextOriginatorFinishesWhatTheLastOneLeft) {
  Cluster c;
  // m1 has got its change accepted by m3, and died before anybody learned of it.
  pb::Change change = Set("a", "1").change;
  const pb::ClusterConf left = *Apply(ThreeMembers(), change, "t-left", "set a 1");
  pb::Ballot ballot;
  ballot.set_counter(3);
  ballot.set_member("m1");
  ASSERT_TRUE(c[3].node.acceptor().Accept(ballot, left));
  c.down = {"m1"};
  const Outcome o = c.Do(2, Set("b", "2"));
  EXPECT_EQ(o.kind, Outcome::kDone);
  EXPECT_EQ(o.generation, 9u);
  EXPECT_EQ(c[2].node.acceptor().conf().option().at("a"), "1");
  EXPECT_EQ(c[2].node.acceptor().conf().option().at("b"), "2");
}

TEST(Transaction, TheLockOfADeadOriginatorRunsOut) {
  Cluster c;
  c[1].node.Submit(Set("a", "1"), [](const Outcome&) {});
  for (size_t n = c.messages.size(); n > 0; --n) {  // its LOCKs arrive, nothing else does
    auto [to, message] = c.messages.front();
    c.messages.pop_front();
    c[static_cast<size_t>(to[1] - '0')].node.OnMessage(message);
  }
  c.messages.clear();
  c.down = {"m1"};
  EXPECT_FALSE(c[2].node.participant().lock_holder().empty());
  EXPECT_EQ(c.Do(2, Set("b", "2"), std::chrono::seconds(10)).kind, Outcome::kDone);
}

TEST(Transaction, AMemberThatLostItsStateMayNotChangeAnything) {
  Cluster c;
  c.peers[0] = std::make_unique<Peer>(c, "m1", 2);
  EXPECT_THAT(c.Do(1, Set("a", "1")).status.message(), HasSubstr("no vote"));
  Command readmit{.words = "peer repair m1"};
  readmit.change.mutable_readmit()->set_uuid("m1");
  readmit.change.mutable_readmit()->set_incarnation(2);
  EXPECT_EQ(c.Do(2, readmit).kind, Outcome::kDone);
  EXPECT_EQ(c.Do(1, Set("a", "1")).kind, Outcome::kDone);
}

}  // namespace
}  // namespace kfs::meta

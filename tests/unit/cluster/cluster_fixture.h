// Three members in one process, whose messages arrive at once and in order unless a test wants otherwise.
// (The simulation has the other kinds of network.)
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "memory_store.h"
#include "metaserver/cluster/node.h"

namespace kfs::meta {

class Cluster;

struct Peer : ClusterEnv {
  Peer(Cluster& c, const std::string& u, uint64_t incarnation = 1) : Peer(c, u, StoreOf(u, incarnation)) {}
  Peer(Cluster& c, const std::string& u, const MemoryStore& s)
      : cluster(c), uuid(u), store(s), node(*this, store) {}
  MonoTime Now() const override;
  uint64_t Random() override { return 7; }
  std::string NewTransactionId() override { return uuid + "-" + std::to_string(++ids); }
  void Send(const std::string& to, const pb::PeerMessage& message) override;
  bool Reachable(const std::string& to) const override;
  Status Validate(const pb::Change&, const pb::ClusterConf&) override { return objection; }
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
      if (lose && lose(to, message)) continue;
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
  std::function<bool(const std::string& to, const pb::PeerMessage&)> lose;  // none: nothing is lost
  bool notice_down = true;  // senders know that a peer is not there
  std::string last;
};

inline MonoTime Peer::Now() const { return cluster.now; }
inline void Peer::Send(const std::string& to, const pb::PeerMessage& message) {
  cluster.messages.emplace_back(to, message);
}
inline bool Peer::Reachable(const std::string& to) const {
  return !cluster.notice_down || !cluster.down.contains(to);
}

inline Command Set(const std::string& name, const std::string& value) {
  Command c{.words = "set " + name + " " + value};
  c.change.mutable_set_option()->set_name(name);
  c.change.mutable_set_option()->set_value(value);
  return c;
}

}  // namespace kfs::meta

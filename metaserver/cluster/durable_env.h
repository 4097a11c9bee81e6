// The surroundings as the state machines of one member see them: what they send waits until the record that it
// rests on is durable (P7), in the order in which they have sent it. They themselves go on at once, as if disks
// took no time.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "metaserver/cluster/acceptor.h"
#include "metaserver/cluster/environment.h"

namespace kfs::meta {

class DurableEnv final : public ClusterEnv {
 public:
  DurableEnv(ClusterEnv& outside, Acceptor& acceptor) : outside_(outside), acceptor_(acceptor) {}

  MonoTime Now() const override { return outside_.Now(); }
  uint64_t Random() override { return outside_.Random(); }
  std::string NewTransactionId() override { return outside_.NewTransactionId(); }
  // What a disk that stands still for very long keeps from leaving is lost, as a message may be.
  void Send(const std::string& uuid, const pb::PeerMessage& message) override {
    if (acceptor_.waiting() >= kWaitingMax) return;
    acceptor_.WhenDurable([this, uuid, message] { outside_.Send(uuid, message); });
  }
  bool Reachable(const std::string& uuid) const override { return outside_.Reachable(uuid); }
  Status Validate(const pb::Change& change, const pb::ClusterConf& next) override {
    return outside_.Validate(change, next);
  }
  void Bricks(const pb::ClusterConf& next, const pb::Ballot& ballot, bool read,
              std::function<void(Status, std::string report)> done) override {
    acceptor_.WhenDurable(
        [this, next, ballot, read, done = std::move(done)] { outside_.Bricks(next, ballot, read, done); });
  }

  static constexpr size_t kWaitingMax = 256;

 private:
  ClusterEnv& outside_;
  Acceptor& acceptor_;
};

}  // namespace kfs::meta

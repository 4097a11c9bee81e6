// One member of the cluster's configuration: what it stores, its side of everybody's transactions, its own
// transactions, and the exchange by which whoever was away catches up. Loop's thread only; time comes in by
// OnTimer.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "metaserver/cluster/acceptor.h"
#include "metaserver/cluster/environment.h"
#include "metaserver/cluster/originator.h"
#include "metaserver/cluster/participant.h"

namespace kfs::meta {

class ClusterNode {
 public:
  ClusterNode(ClusterEnv& env, MemberStore& store);

  // `done` comes once, also when the command is refused at once (too many are under way). Gives its id.
  std::string Submit(Command command, Originator::Done done);
  void OnMessage(const pb::PeerMessage& message);
  // Every 50 ms or so.
  void OnTimer();

  const Acceptor& acceptor() const { return acceptor_; }
  Acceptor& acceptor() { return acceptor_; }
  const Participant& participant() const { return participant_; }
  const std::map<std::string, std::unique_ptr<Originator>>& transactions() const { return originators_; }
  bool Abort(const std::string& id);

  static constexpr size_t kTransactionsMax = 64;
  static constexpr auto kHelloEvery = std::chrono::seconds(1);

 private:
  pb::PeerMessage Message() const;
  void SayHello();
  void OnHello(const pb::PeerMessage& message);
  void FinishUndecided();

  ClusterEnv& env_;
  Acceptor acceptor_;
  Participant participant_;
  std::map<std::string, std::unique_ptr<Originator>> originators_;  // by transaction
  MonoTime hello_at_{};
  MonoTime undecided_since_{};  // something is accepted and nobody works on it; none: not so
};

}  // namespace kfs::meta

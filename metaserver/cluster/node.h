// One member of the cluster's configuration: what it stores, its side of everybody's transactions, its own
// transactions, and its peers. Loop's thread only; time comes in by OnTimer.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "metaserver/cluster/acceptor.h"
#include "metaserver/cluster/durable_env.h"
#include "metaserver/cluster/environment.h"
#include "metaserver/cluster/friends.h"
#include "metaserver/cluster/history.h"
#include "metaserver/cluster/originator.h"
#include "metaserver/cluster/participant.h"

namespace kfs::meta {

class ClusterNode {
 public:
  ClusterNode(ClusterEnv& env, MemberStore& store);

  // `done` comes once, when the outcome is durable here, maybe before this returns: when the command is refused at once (too many are under
  // way), or its id (Command::id) is that of a change that has been made. An id that is under way here is not
  // begun again: `done` gets the outcome that the first one gets. Gives the transaction's id; empty: refused.
  std::string Submit(Command command, Originator::Done done);
  // May lead to ClusterEnv::Send to a uuid that is not in the configuration (a stranger is told why it is not
  // heard): for the connection that the message came by, or for nobody.
  void OnMessage(const pb::PeerMessage& message);
  // Every 50 ms or so. Watches ClusterEnv::Reachable: that is how peers get CONNECTED and DISCONNECTED.
  void OnTimer();

  const Acceptor& acceptor() const { return acceptor_; }
  Acceptor& acceptor() { return acceptor_; }
  const Participant& participant() const { return participant_; }
  const std::map<std::string, std::unique_ptr<Originator>>& transactions() const { return originators_; }
  bool Abort(const std::string& id);
  void GiveUp(const std::string& id);
  // Transactions that were begun here and have ended, the last 64.
  const History& history() const { return history_; }
  // All members but this one, and those detached that have not been told yet.
  std::vector<PeerView> Peers() const { return friends_.Peers(); }
  // Why this metaserver is no member any more; empty: it is one, or has no configuration yet.
  const std::string& detached() const { return friends_.out(); }

  static constexpr size_t kTransactionsMax = 64;
  static constexpr size_t kWaitersMax = 64;  // for one transaction

 private:
  void FinishUndecided();

  Acceptor acceptor_;
  DurableEnv env_;
  Participant participant_;
  Friends friends_;
  History history_;
  std::map<std::string, std::unique_ptr<Originator>> originators_;  // by transaction
  MonoTime undecided_since_{};  // something is accepted and nobody works on it; none: not so
};

}  // namespace kfs::meta

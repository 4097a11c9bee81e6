// A member's side of the transactions: it grants the lock, validates, prepares its chunkservers, accepts, and
// learns the outcome. Each transaction has a state machine of its own; one that changes the configuration
// holds the member's lock, which is a lease that every request of its originator renews.
//
//              Lock           StageOp           CommitOp                  AllAck             Unlock
//   Default ---------> Locked ---------> Staged ---------> BrickCommitted -------> Committed -------> Default
//              promise        validate    ^  |    accept
//                                         +--+ BrickOp: prepare
//
// From every state Unlock and LocalUnlockNoResp (the lease ran out) lead to Default. Loop's thread only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/lifetime.h"
#include "metaserver/cluster/acceptor.h"
#include "metaserver/cluster/environment.h"
#include "metaserver/cluster/transition_log.h"

namespace kfs::meta {

enum class PeerState { kDefault, kLocked, kStaged, kBrickCommitted, kCommitted };
enum class PeerEvent { kLock, kStageOp, kBrickOp, kCommitOp, kAllAck, kUnlock, kLocalUnlockNoResp };
std::string_view NameOf(PeerState state);
std::string_view NameOf(PeerEvent event);

class Participant {
 public:
  using Reply = std::function<void(const pb::PhaseReply&)>;

  Participant(ClusterEnv& env, Acceptor& acceptor) : env_(env), acceptor_(acceptor) {}
  ~Participant() { lifetime_.End(); }

  // `reply` is called once, maybe later (bricks), maybe never (the lease ran out meanwhile).
  void Handle(const pb::PeerMessage& message, Reply reply);
  // Ends transactions whose leases have run out.
  void OnTimer();

  // Who has the lock; empty: nobody.
  const std::string& lock_holder() const { return lock_; }
  MonoTime lock_until() const;
  size_t transactions() const { return transactions_.size(); }
  // What is under way here, everybody's.
  struct View {
    std::string id, originator, command;
    std::string_view state;
    bool read = false;
    MonoTime until;  // its lease
  };
  std::vector<View> List() const;
  uint64_t unexpected() const { return unexpected_; }

  static constexpr auto kLeaseMax = std::chrono::seconds(30);
  static constexpr size_t kTransactionsMax = 1024;
  static constexpr size_t kEndedKept = 256;

 private:
  friend struct PeerTables;
  struct Transaction {
    std::string id, originator, command;
    PeerState state = PeerState::kDefault;
    bool read = false;
    pb::Ballot ballot;
    pb::ClusterConf value;  // staged
    MonoTime until;
    TransitionLog log;
  };
  using TransactionPtr = std::shared_ptr<Transaction>;
  struct Ask {
    const pb::PeerMessage& message;
    const pb::PhaseRequest& request;
    Reply& reply;
  };
  using Handler = void (Participant::*)(Transaction&, const Ask*);

  void Inject(const TransactionPtr& t, PeerEvent event, const Ask* ask);
  void Acc(const Ask& ask);
  void Rjt(const Ask& ask, pb::PhaseReply::Why why, const std::string& words);
  // Guards: false when they have refused.
  TransactionPtr Latecomer(const Ask& ask);
  bool MayLock(const Ask& ask, const TransactionPtr& t);
  bool MayStage(const Ask& ask, const Transaction& t);
  bool MayCommit(const Ask& ask, const Transaction& t);
  void Renew(Transaction& t, const pb::PhaseRequest& request);

  // Handlers of the table.
  void Grant(Transaction& t, const Ask* ask);
  void Again(Transaction& t, const Ask* ask);
  void Stage(Transaction& t, const Ask* ask);
  void AskBricks(Transaction& t, const Ask* ask);
  void AcceptValue(Transaction& t, const Ask* ask);
  void Committed(Transaction& t, const Ask* ask);
  void Release(Transaction& t, const Ask* ask);

  ClusterEnv& env_;
  Acceptor& acceptor_;
  std::map<std::string, TransactionPtr> transactions_;
  std::string lock_;  // id of the transaction that holds it
  // Attempts that have ended, lest a late copy of their LOCK takes the lock once more.
  std::deque<std::pair<std::string, uint64_t>> ended_;
  std::deque<std::pair<TransactionPtr, PeerEvent>> queue_;
  uint64_t unexpected_ = 0;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

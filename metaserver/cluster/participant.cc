#include "metaserver/cluster/participant.h"

#include <fmt/format.h>

#include <algorithm>

#include "metaserver/cluster/configuration.h"
#include "metaserver/cluster/state_table.h"

namespace kfs::meta {
namespace {

pb::PhaseReply ReplyTo(const pb::PhaseRequest& request) {
  pb::PhaseReply reply;
  reply.set_phase(request.phase());
  *reply.mutable_ballot() = request.ballot();
  return reply;
}

}  // namespace

std::string_view NameOf(PeerState state) {
  switch (state) {
    case PeerState::kDefault:
      return "Default";
    case PeerState::kLocked:
      return "Locked";
    case PeerState::kStaged:
      return "Staged";
    case PeerState::kBrickCommitted:
      return "Brick committed";
    case PeerState::kCommitted:
      return "Committed";
  }
  return "?";
}

std::string_view NameOf(PeerEvent event) {
  switch (event) {
    case PeerEvent::kLock:
      return "LOCK";
    case PeerEvent::kStageOp:
      return "STAGE_OP";
    case PeerEvent::kBrickOp:
      return "BRICK_OP";
    case PeerEvent::kCommitOp:
      return "COMMIT_OP";
    case PeerEvent::kAllAck:
      return "ALL_ACK";
    case PeerEvent::kUnlock:
      return "UNLOCK";
    case PeerEvent::kLocalUnlockNoResp:
      return "LOCAL_UNLOCK_NO_RESP";
  }
  return "?";
}

struct PeerTables {
  using S = PeerState;
  using E = PeerEvent;
  using P = Participant;
  static constexpr auto kTable = MakeTable<S, E, P::Handler>({
      {S::kDefault, E::kLock, S::kLocked, &P::Grant},
      {S::kLocked, E::kLock, S::kLocked, &P::Grant},
      {S::kLocked, E::kStageOp, S::kStaged, &P::Stage},
      {S::kStaged, E::kStageOp, S::kStaged, &P::Stage},
      {S::kStaged, E::kLock, S::kStaged, &P::Again},
      {S::kStaged, E::kBrickOp, S::kStaged, &P::AskBricks},
      {S::kStaged, E::kCommitOp, S::kBrickCommitted, &P::AcceptValue},
      // The lease ran out, or the process is another one by now: what counts is the promise, not the lock.
      {S::kDefault, E::kCommitOp, S::kBrickCommitted, &P::AcceptValue},
      {S::kBrickCommitted, E::kAllAck, S::kCommitted, &P::Committed},
      {S::kCommitted, E::kLock, S::kCommitted, &P::Again},
      {S::kCommitted, E::kCommitOp, S::kCommitted, &P::Again},
      {S::kDefault, E::kUnlock, S::kDefault, &P::Release},
      {S::kLocked, E::kUnlock, S::kDefault, &P::Release},
      {S::kStaged, E::kUnlock, S::kDefault, &P::Release},
      {S::kCommitted, E::kUnlock, S::kDefault, &P::Release},
      {S::kLocked, E::kLocalUnlockNoResp, S::kDefault, &P::Release},
      {S::kStaged, E::kLocalUnlockNoResp, S::kDefault, &P::Release},
      {S::kCommitted, E::kLocalUnlockNoResp, S::kDefault, &P::Release},
  });
  static_assert(AllReachable(kTable, S::kDefault));
};

void Participant::Inject(const TransactionPtr& t, PeerEvent event, const Ask* ask) {
  queue_.emplace_back(t, event);
  if (queue_.size() > 1) return;  // the loop below is running: it takes this one, too
  while (!queue_.empty()) {
    auto [transaction, next] = queue_.front();
    const std::string subject = "transaction " + transaction->id + " peer";
    if (const auto* row = PeerTables::kTable.Find(transaction->state, next)) {
      transaction->log.Add(env_.Now(), subject, NameOf(row->from), NameOf(next), NameOf(row->to));
      transaction->state = row->to;
      (this->*row->run)(*transaction, ask);
    } else {
      ++unexpected_;
      transaction->log.Unexpected(env_.Now(), subject, NameOf(transaction->state), NameOf(next));
      if (ask != nullptr) Rjt(*ask, pb::PhaseReply::NO_LOCK, "out of order");
    }
    if (transaction->state == PeerState::kDefault) transactions_.erase(transaction->id);
    queue_.pop_front();
  }
}

void Participant::Acc(const Ask& ask) {
  pb::PhaseReply reply = ReplyTo(ask.request);
  reply.set_acc(true);
  ask.reply(reply);
}

void Participant::Rjt(const Ask& ask, pb::PhaseReply::Why why, const std::string& words) {
  pb::PhaseReply reply = ReplyTo(ask.request);
  reply.set_why(why);
  reply.set_words(words);
  *reply.mutable_promised() = acceptor_.promised();
  if (why == pb::PhaseReply::YOU_ARE_BEHIND) *reply.mutable_decided() = acceptor_.conf();
  ask.reply(reply);
}

void Participant::Renew(Transaction& t, const pb::PhaseRequest& request) {
  t.until = env_.Now() + std::min<Duration>(std::chrono::milliseconds(request.lease_ms()), kLeaseMax);
}

void Participant::Handle(const pb::PeerMessage& message, Reply reply) {
  const pb::PhaseRequest& request = message.request();
  const Ask ask{message, request, reply};
  OnTimer();
  auto it = transactions_.find(message.transaction());
  TransactionPtr t = it == transactions_.end() ? nullptr : it->second;
  if (t != nullptr && t->originator != message.from())
    return Rjt(ask, pb::PhaseReply::STRANGER, "the transaction belongs to another member");
  switch (request.phase()) {
    case pb::LOCK:
      if (!MayLock(ask, t)) return;
      if (t == nullptr) {
        t = std::make_shared<Transaction>();
        t->id = message.transaction();
        t->originator = message.from();
        t->command = request.command();
        t->read = request.read();
        transactions_[t->id] = t;
      }
      Renew(*t, request);
      return Inject(t, PeerEvent::kLock, &ask);
    case pb::STAGE:
    case pb::BRICK:
    case pb::COMMIT: {
      if (t == nullptr && request.phase() == pb::COMMIT && !request.read()) t = Latecomer(ask);
      // Only under the ballot that has the lock: what is left of an earlier attempt is too late.
      if (t == nullptr || !Equal(t->ballot, request.ballot()))
        return Rjt(ask, pb::PhaseReply::NO_LOCK, "the lock is no longer held: its lease has run out");
      if (request.phase() == pb::STAGE && !MayStage(ask, *t)) return;
      if (request.phase() == pb::COMMIT && !MayCommit(ask, *t)) return;
      Renew(*t, request);
      return Inject(t,
                    request.phase() == pb::STAGE   ? PeerEvent::kStageOp
                    : request.phase() == pb::BRICK ? PeerEvent::kBrickOp
                                                   : PeerEvent::kCommitOp,
                    &ask);
    }
    case pb::UNLOCK:
      if (request.has_value() && acceptor_.Learn(request.value()) == Acceptor::Learned::kLater)
        return Rjt(ask, pb::PhaseReply::NO_ROOM, "its disk is full: it learns of it when there is room");
      if (t == nullptr || !Equal(t->ballot, request.ballot())) return Acc(ask);
      return Inject(t, PeerEvent::kUnlock, &ask);
    default:
      return Rjt(ask, pb::PhaseReply::INVALID, "this version does not know the phase asked for");
  }
}

// A commit without a lock; null when it is too late for it.
Participant::TransactionPtr Participant::Latecomer(const Ask& ask) {
  if (Lower(ask.request.ballot(), acceptor_.promised()) ||
      !HasVote(acceptor_.conf(), ask.message.from(), ask.message.incarnation()) || !acceptor_.HasRoom())
    return nullptr;
  auto t = std::make_shared<Transaction>();
  t->id = ask.message.transaction();
  t->originator = ask.message.from();
  t->command = ask.request.command();
  t->ballot = ask.request.ballot();
  t->value = ask.request.value();
  transactions_[t->id] = t;
  return t;
}

bool Participant::MayLock(const Ask& ask, const TransactionPtr& t) {
  const pb::PeerMessage& m = ask.message;
  const auto no = [&](pb::PhaseReply::Why why, const std::string& words) {
    Rjt(ask, why, words);
    return false;
  };
  if (t == nullptr && transactions_.size() >= kTransactionsMax)
    return no(pb::PhaseReply::LOCKED, "too many transactions are under way");
  if (ask.request.read()) return true;
  if (std::find(ended_.begin(), ended_.end(), std::pair(m.transaction(), ask.request.ballot().counter())) !=
      ended_.end())
    return no(pb::PhaseReply::NO_LOCK, "the attempt has ended");
  if (!acceptor_.HasRoom()) return no(pb::PhaseReply::NO_ROOM, "its disk is full: it does not vote");
  if (m.generation() < acceptor_.generation())
    return no(pb::PhaseReply::YOU_ARE_BEHIND,
              fmt::format("generation {} has been decided", acceptor_.generation()));
  if (m.generation() > acceptor_.generation())
    return no(pb::PhaseReply::I_AM_BEHIND, fmt::format("is at generation {}", acceptor_.generation()));
  if (m.checksum() != acceptor_.checksum())
    return no(pb::PhaseReply::STRANGER,
              fmt::format("has another configuration under generation {} (see: kfs peer why)",
                          acceptor_.generation()));
  // A member without a vote may have forgotten ballots that it has used.
  if (!HasVote(acceptor_.conf(), m.from(), m.incarnation()))
    return no(pb::PhaseReply::STRANGER,
              "the asker has no vote: it lost its state (kfs peer repair readmits it)");
  if (!lock_.empty() && lock_ != m.transaction()) {
    const Transaction& holder = *transactions_.at(lock_);
    return no(pb::PhaseReply::LOCKED,
              fmt::format("another transaction is under way: \"{}\" by {}", holder.command,
                          NameOf(acceptor_.conf(), holder.originator)));
  }
  if (t != nullptr && t->state != PeerState::kLocked && !Equal(t->ballot, ask.request.ballot()))
    return no(pb::PhaseReply::LOCKED, "an earlier attempt of the transaction has not ended");
  if (!acceptor_.Promise(ask.request.ballot()))
    return no(pb::PhaseReply::PROMISED, "a newer attempt was promised");
  return true;
}

bool Participant::MayStage(const Ask& ask, const Transaction& t) {
  const pb::PhaseRequest& r = ask.request;
  const auto no = [&](const std::string& words) {
    Rjt(ask, pb::PhaseReply::INVALID, words);
    return false;
  };
  if (t.read) return true;
  if (r.base_checksum() != acceptor_.checksum() || Before(r.value()) != acceptor_.generation())
    return no("the configuration has changed meanwhile");
  if (r.has_change()) {
    Result<pb::ClusterConf> ours = Apply(acceptor_.conf(), r.change(), t.id, r.command());
    if (!ours.ok()) return no(ours.status().message());
    if (!Same(*ours, r.value()))
      return no("works out another configuration from the same change: upgrade the older one");
    // Not of a change that is finished for another originator: it may be decided already.
    if (Status s = env_.Validate(r.change(), r.value()); !s.ok()) return no(s.message());
  }
  return true;
}

bool Participant::MayCommit(const Ask& ask, const Transaction& t) {
  if (t.read) return true;
  const bool right = ask.request.base_checksum() == acceptor_.checksum() &&
                     Before(ask.request.value()) == acceptor_.generation() &&
                     Same(ask.request.value(), t.value);
  if (right) return true;
  Rjt(ask, pb::PhaseReply::NO_LOCK, "what is to be committed is not what was staged");
  if (t.state == PeerState::kDefault) transactions_.erase(t.id);
  return false;
}

void Participant::Grant(Transaction& t, const Ask* ask) {
  t.ballot = ask->request.ballot();
  pb::PhaseReply reply = ReplyTo(ask->request);
  reply.set_acc(true);
  if (!t.read) {
    lock_ = t.id;
    if (acceptor_.accepted().counter() != 0) {
      *reply.mutable_accepted() = acceptor_.accepted();
      *reply.mutable_accepted_value() = acceptor_.accepted_value();
    }
  }
  ask->reply(reply);
}

void Participant::Again(Transaction&, const Ask* ask) { Acc(*ask); }

void Participant::Stage(Transaction& t, const Ask* ask) {
  t.value = ask->request.value();
  Acc(*ask);
}

void Participant::AskBricks(Transaction& t, const Ask* ask) {
  env_.Bricks(t.value, t.ballot, t.read,
              lifetime_.While([request = ask->request, reply = ask->reply](Status s, std::string report) {
                pb::PhaseReply answer = ReplyTo(request);
                answer.set_acc(s.ok());
                answer.set_report(std::move(report));
                if (!s.ok()) {
                  answer.set_why(pb::PhaseReply::BRICKS);
                  answer.set_words(s.message());
                }
                reply(answer);
              }));
}

void Participant::AcceptValue(Transaction& t, const Ask* ask) {
  if (!t.read && !acceptor_.Accept(t.ballot, t.value)) {
    Rjt(*ask, pb::PhaseReply::PROMISED, "a newer attempt was promised");
  } else {
    Acc(*ask);
  }
  Inject(transactions_.at(t.id), PeerEvent::kAllAck, nullptr);
}

void Participant::Committed(Transaction&, const Ask*) {}

void Participant::Release(Transaction& t, const Ask* ask) {
  if (lock_ == t.id) lock_.clear();
  if (!t.read) {
    if (ended_.size() == kEndedKept) ended_.pop_front();
    ended_.emplace_back(t.id, t.ballot.counter());
  }
  if (ask != nullptr) Acc(*ask);
}

MonoTime Participant::lock_until() const {
  auto it = transactions_.find(lock_);
  return it == transactions_.end() ? MonoTime{} : it->second->until;
}

std::vector<Participant::View> Participant::List() const {
  std::vector<View> out;
  for (const auto& [id, t] : transactions_)
    out.push_back({id, t->originator, t->command, NameOf(t->state), t->read, t->until});
  return out;
}

void Participant::OnTimer() {
  std::vector<TransactionPtr> late;
  for (const auto& [id, t] : transactions_) {
    if (t->until <= env_.Now()) late.push_back(t);
  }
  for (const TransactionPtr& t : late) {
    KFS_LOG(warn, "cluster.lease_ended transaction={} command=\"{}\" originator={}", t->id, t->command,
            NameOf(acceptor_.conf(), t->originator));
    Inject(t, PeerEvent::kLocalUnlockNoResp, nullptr);
  }
}

}  // namespace kfs::meta

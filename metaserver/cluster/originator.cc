#include "metaserver/cluster/originator.h"

#include <fmt/format.h>

#include <algorithm>

#include "metaserver/cluster/configuration.h"
#include "metaserver/cluster/member_changes.h"
#include "metaserver/cluster/state_table.h"

namespace kfs::meta {

std::string_view NameOf(OpState state) {
  switch (state) {
    case OpState::kDefault:
      return "Default";
    case OpState::kLockSent:
      return "Lock sent";
    case OpState::kAckDrain:
      return "Ack drain";
    case OpState::kStageOpSent:
      return "Stage op sent";
    case OpState::kStageOpFailed:
      return "Stage op failed";
    case OpState::kBrickOpSent:
      return "Brick op sent";
    case OpState::kBrickOpFailed:
      return "Brick op failed";
    case OpState::kCommitOpSent:
      return "Commit op sent";
    case OpState::kCommitOpFailed:
      return "Commit op failed";
    case OpState::kUnlockSent:
      return "Unlock sent";
  }
  return "?";
}

std::string_view NameOf(OpEvent event) {
  switch (event) {
    case OpEvent::kStartLock:
      return "START_LOCK";
    case OpEvent::kRcvdAcc:
      return "RCVD_ACC";
    case OpEvent::kRcvdRjt:
      return "RCVD_RJT";
    case OpEvent::kAllAcc:
      return "ALL_ACC";
    case OpEvent::kAllAck:
      return "ALL_ACK";
  }
  return "?";
}

struct OpTables {
  using S = OpState;
  using E = OpEvent;
  using O = Originator;
  static constexpr auto kTable = MakeTable<S, E, O::Handler>({
      {S::kDefault, E::kStartLock, S::kLockSent, &O::SendLock},
      {S::kLockSent, E::kRcvdAcc, S::kLockSent, &O::Weigh},
      {S::kLockSent, E::kRcvdRjt, S::kAckDrain, &O::Weigh},
      {S::kLockSent, E::kAllAcc, S::kStageOpSent, &O::SendStage},
      {S::kAckDrain, E::kRcvdAcc, S::kAckDrain, &O::Weigh},
      {S::kAckDrain, E::kRcvdRjt, S::kAckDrain, &O::Weigh},
      {S::kAckDrain, E::kAllAck, S::kUnlockSent, &O::SendUnlock},
      {S::kStageOpSent, E::kRcvdAcc, S::kStageOpSent, &O::Weigh},
      {S::kStageOpSent, E::kRcvdRjt, S::kStageOpFailed, &O::Weigh},
      {S::kStageOpSent, E::kAllAcc, S::kBrickOpSent, &O::SendBrick},
      {S::kStageOpFailed, E::kRcvdAcc, S::kStageOpFailed, &O::Weigh},
      {S::kStageOpFailed, E::kRcvdRjt, S::kStageOpFailed, &O::Weigh},
      {S::kStageOpFailed, E::kAllAck, S::kUnlockSent, &O::SendUnlock},
      {S::kBrickOpSent, E::kRcvdAcc, S::kBrickOpSent, &O::Weigh},
      {S::kBrickOpSent, E::kRcvdRjt, S::kBrickOpFailed, &O::Weigh},
      {S::kBrickOpSent, E::kAllAck, S::kCommitOpSent, &O::SendCommit},
      {S::kBrickOpFailed, E::kRcvdAcc, S::kBrickOpFailed, &O::Weigh},
      {S::kBrickOpFailed, E::kRcvdRjt, S::kBrickOpFailed, &O::Weigh},
      {S::kBrickOpFailed, E::kAllAck, S::kUnlockSent, &O::SendUnlock},
      {S::kCommitOpSent, E::kRcvdAcc, S::kCommitOpSent, &O::Weigh},
      {S::kCommitOpSent, E::kAllAcc, S::kUnlockSent, &O::SendDecision},
      {S::kCommitOpSent, E::kRcvdRjt, S::kCommitOpFailed, &O::Weigh},
      {S::kCommitOpFailed, E::kRcvdAcc, S::kCommitOpFailed, &O::Weigh},
      {S::kCommitOpFailed, E::kRcvdRjt, S::kCommitOpFailed, &O::Weigh},
      {S::kCommitOpFailed, E::kAllAck, S::kUnlockSent, &O::SendUnlock},
      {S::kUnlockSent, E::kRcvdAcc, S::kUnlockSent, &O::Weigh},
      {S::kUnlockSent, E::kRcvdRjt, S::kUnlockSent, &O::Weigh},
      {S::kUnlockSent, E::kAllAcc, S::kDefault, &O::Ended},
  });
  static_assert(AllReachable(kTable, S::kDefault));
};

Originator::Originator(ClusterEnv& env, Acceptor& acceptor, Participant& self, Command command)
    : env_(env),
      acceptor_(acceptor),
      self_(self),
      command_(std::move(command)),
      id_(command_.id.empty() ? env.NewTransactionId() : command_.id),
      started_(env.Now()) {}

void Originator::Inject(OpEvent event) {
  queue_.push_back(event);
  if (queue_.size() > 1) return;  // the loop below is running: it takes this one, too
  while (!queue_.empty()) {
    const OpEvent next = queue_.front();
    const std::string subject = "transaction " + id_ + " originator";
    if (const auto* row = OpTables::kTable.Find(state_, next)) {
      log_.Add(env_.Now(), subject, NameOf(row->from), NameOf(next), NameOf(row->to));
      if (row->to != state_) told_ = false;
      state_ = row->to;
      (this->*row->run)();
    } else {
      log_.Unexpected(env_.Now(), subject, NameOf(state_), NameOf(next));
    }
    queue_.pop_front();
  }
}

// ---- attempts

void Originator::Start() { NextAttempt(); }

void Originator::NextAttempt() {
  waiting_ = false;
  const pb::ClusterConf& conf = acceptor_.conf();
  if (std::find(conf.recent().begin(), conf.recent().end(), id_) != conf.recent().end()) {
    return Finish({.kind = Outcome::kDone, .status = {}, .generation = conf.generation()});
  }
  if (!command_.read && !HasVote(conf, acceptor_.uuid(), acceptor_.incarnation())) {
    const bool member = FindMember(conf, acceptor_.uuid()) != nullptr;
    return Finish(
        {.kind = proposed_ ? Outcome::kUnknown : Outcome::kNothingChanged,
         .status = Status(EPERM, member ? "this metaserver has no vote in the cluster: ask another one"
                                        : "this metaserver was detached from the cluster: ask another one")});
  }
  Inject(OpEvent::kStartLock);
}

void Originator::Finish(Outcome outcome) {
  if (finished_) return;
  finished_ = true;
  outcome.reports = std::move(reports_);
  outcome.unreachable.assign(unreachable_.begin(), unreachable_.end());
  outcome.apart = apart_;
  outcome_ = std::move(outcome);
  for (size_t i = 0; i < done_.size(); ++i) done_[i](outcome_);
  done_.clear();
}

void Originator::Attach(Done done) {
  if (finished_) return done(outcome_);
  done_.push_back(std::move(done));
}

bool Originator::Abort() {
  if (finished_) return false;
  refusal_ = Status(ECANCELED, "aborted by an administrator");
  if (waiting_) {
    waiting_ = false;
    Finish({.kind = proposed_ ? Outcome::kUnknown : Outcome::kNothingChanged, .status = refusal_});
    return true;
  }
  if (state_ != OpState::kLockSent && state_ != OpState::kStageOpSent && state_ != OpState::kBrickOpSent)
    return false;
  retry_ = false;
  Inject(OpEvent::kRcvdRjt);
  return true;
}

void Originator::GiveUp() {
  given_up_ = true;
  Abort();
}

// ---- deadlines

void Originator::OnTimer() {
  if (finished_) return;
  if (waiting_) {
    if (env_.Now() >= retry_at_) NextAttempt();
    return;
  }
  if (state_ == OpState::kDefault || env_.Now() < deadline_) return;
  for (auto& [uuid, answer] : answers_) {
    if (answer.kind != Answer::kNone) continue;
    answer.kind = Answer::kUnreachable;
    unreachable_.insert(uuid);
  }
  Weigh();
}

// ---- the phases

void Originator::SendLock() {
  base_ = acceptor_.conf();
  value_.Clear();
  finishing_ = decided_ = retry_ = false;
  refusal_ = Status();
  helped_.clear();
  refusals_.clear();
  answers_.clear();
  if (!command_.read) {
    // Higher than our own last one, too: members refuse what is left of an attempt that has ended.
    ballot_.set_counter(std::max({counter_seen_, acceptor_.promised().counter(), ballot_.counter()}) + 1);
    ballot_.set_member(acceptor_.uuid());
  }
  Ask(pb::LOCK, Patience());
}

void Originator::SendStage() {
  const pb::PhaseReply* highest = nullptr;
  for (const auto& [uuid, a] : answers_) {
    if (a.kind != Answer::kAcc || a.reply.accepted().counter() == 0) continue;
    if (highest == nullptr || Lower(highest->accepted(), a.reply.accepted())) highest = &a.reply;
  }
  if (highest != nullptr && !command_.read) {
    value_ = highest->accepted_value();
    finishing_ = true;  // also when it is ours, from an earlier attempt
    KFS_LOG(info, "cluster.finishing transaction={} command=\"{}\" generation={}", value_.transaction(),
            value_.command(), value_.generation());
  } else if (!command_.read) {
    if (command_.change.what_case() == pb::Change::WHAT_NOT_SET)
      return Inject(OpEvent::kRcvdRjt);  // all is decided
    std::set<std::string> there;
    for (const auto& [uuid, a] : answers_) {
      if (a.kind == Answer::kAcc) there.insert(uuid);
    }
    change_ = command_.change;
    ChooseAmong(there, base_, &change_);
    Result<pb::ClusterConf> next = Apply(base_, change_, id_, command_.words);
    if (!next.ok()) {
      refusal_ = next.status();
      return Inject(OpEvent::kRcvdRjt);
    }
    value_ = std::move(*next);
  }
  Ask(pb::STAGE, Patience());
}

void Originator::SendBrick() {
  if (command_.dry_run && !finishing_) return Inject(OpEvent::kRcvdRjt);
  Ask(pb::BRICK, kBrickTimeout);
}

void Originator::SendCommit() {
  if (value_.transaction() == id_) proposed_ = true;
  Ask(pb::COMMIT, Patience());
}

void Originator::SendDecision() {
  if (!command_.read) {
    decided_ = true;
    acceptor_.Learn(value_);
  }
  SendUnlock();
}

void Originator::SendUnlock() { Ask(pb::UNLOCK, Patience()); }

void Originator::Ended() {
  if (command_.read) return Finish({.kind = Outcome::kDone, .generation = base_.generation()});
  if (decided_ && value_.transaction() == id_)
    return Finish({.kind = Outcome::kDone, .status = {}, .generation = value_.generation()});
  const bool failed = !refusal_.ok() && !retry_;
  if (!decided_ && !failed && refusal_.ok()) {  // nothing to do, or a dry run that may be done
    Outcome outcome{.kind = Outcome::kNothingChanged, .status = {}, .generation = base_.generation()};
    if (command_.dry_run) outcome.preview = Differences(base_, value_);
    return Finish(std::move(outcome));
  }
  if (failed || given_up_ || env_.Now() - started_ >= command_.timeout) {
    const bool unknown = proposed_;
    Status status = refusal_.ok() ? Status(ECANCELED, "it is not wanted any more") : refusal_;
    if (unknown) {
      status =
          Status(ETIMEDOUT,
                 fmt::format("{}: the outcome is not known yet: it was sent for commit, and too few peers "
                             "answered. It will be made or dropped as a whole (see: kfs cluster log)",
                             Named()));
    }
    return Finish({.kind = unknown ? Outcome::kUnknown : Outcome::kNothingChanged, .status = status});
  }
  // After an earlier change was finished ours follows at once; else others get their turn.
  const auto pause = std::chrono::milliseconds(decided_ ? 0 : 20 + env_.Random() % 300);
  retry_at_ = env_.Now() + pause;
  waiting_ = true;
}

std::map<std::string, std::string> Originator::Answers() const {
  std::map<std::string, std::string> out;
  for (const auto& [uuid, a] : answers_) {
    out[uuid] = a.kind == Answer::kAcc           ? "accepted"
                : a.kind == Answer::kRjt         ? "refused: " + a.reply.words()
                : a.kind == Answer::kUnreachable ? "unreachable"
                                                 : "";
  }
  for (const auto& [uuid, words] : refusals_) out[uuid] = "refused " + words;
  return out;
}

}  // namespace kfs::meta

#include "metaserver/cluster/originator.h"

#include <fmt/format.h>

#include <algorithm>

#include "metaserver/cluster/configuration.h"
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

Originator::Originator(ClusterEnv& env, Acceptor& acceptor, Participant& self, Command command, Done done)
    : env_(env),
      acceptor_(acceptor),
      self_(self),
      command_(std::move(command)),
      id_(env.NewTransactionId()),
      done_(std::move(done)),
      started_(env.Now()) {}

void Originator::Inject(OpEvent event) {
  queue_.push_back(event);
  if (queue_.size() > 1) return;  // the loop below is running: it takes this one, too
  while (!queue_.empty()) {
    const OpEvent next = queue_.front();
    const std::string subject = "transaction " + id_ + " originator";
    if (const auto* row = OpTables::kTable.Find(state_, next)) {
      log_.Add(env_.Now(), subject, NameOf(row->from), NameOf(next), NameOf(row->to));
      state_ = row->to;
      (this->*row->run)();
    } else {
      log_.Unexpected(subject, NameOf(state_), NameOf(next));
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
    return Finish({.kind = proposed_ ? Outcome::kUnknown : Outcome::kNothingChanged,
                   .status = Status(EPERM, "this metaserver has no vote in the cluster: ask another one")});
  }
  Inject(OpEvent::kStartLock);
}

void Originator::Finish(Outcome outcome) {
  if (finished_) return;
  finished_ = true;
  outcome.reports = std::move(reports_);
  outcome.unreachable.assign(unreachable_.begin(), unreachable_.end());
  done_(outcome);
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

// ---- asking and weighing

void Originator::Ask(pb::Phase phase, Duration timeout) {
  request_.Clear();
  request_.set_phase(phase);
  *request_.mutable_ballot() = ballot_;
  request_.set_read(command_.read);
  request_.set_lease_ms(static_cast<uint32_t>(std::chrono::milliseconds(kLease).count()));
  request_.set_command(finishing_ ? value_.command() : command_.words);
  request_.set_dry_run(command_.dry_run);
  if (phase == pb::STAGE || phase == pb::BRICK || phase == pb::COMMIT) {
    request_.set_base_checksum(Checksum(base_));
    *request_.mutable_value() = value_;
  }
  if (phase == pb::STAGE && !finishing_ && !command_.read) *request_.mutable_change() = command_.change;
  if (phase == pb::UNLOCK && decided_) *request_.mutable_value() = value_;
  // Who has granted the lock takes part in what follows; the outcome is for everybody.
  std::map<std::string, Answer> asked;
  for (const pb::MemberConf& m : base_.member()) {
    if (phase == pb::LOCK || phase == pb::UNLOCK || answers_[m.uuid()].kind == Answer::kAcc)
      asked[m.uuid()] = {};
  }
  if (decided_) {
    for (const pb::MemberConf& m : value_.member()) asked[m.uuid()] = {};
  }
  answers_ = std::move(asked);
  deadline_ = env_.Now() + timeout;
  // Ourselves first: what we promise and accept is durable before anybody hears of it, and a ballot is never
  // used for two attempts, whatever happens in between.
  if (answers_.contains(acceptor_.uuid())) SendTo(acceptor_.uuid());
  if (phase == pb::LOCK && answers_[acceptor_.uuid()].kind != Answer::kAcc) {
    std::erase_if(answers_, [this](const auto& a) { return a.first != acceptor_.uuid(); });
    return;
  }
  std::vector<std::string> others;
  for (const auto& [uuid, answer] : answers_) {
    if (uuid != acceptor_.uuid()) others.push_back(uuid);
  }
  for (const std::string& uuid : others) SendTo(uuid);
  Weigh();
}

void Originator::SendTo(const std::string& uuid) {
  pb::PeerMessage message;
  message.set_from(acceptor_.uuid());
  message.set_incarnation(acceptor_.incarnation());
  message.set_cluster_id(base_.cluster_id());
  // Where we stood when the attempt began: an answer about anything else would be of no use.
  message.set_generation(base_.generation());
  message.set_checksum(Checksum(base_));
  message.set_transaction(id_);
  *message.mutable_request() = request_;
  if (uuid == acceptor_.uuid()) {
    self_.Handle(message, [this, alive = alive_](const pb::PhaseReply& reply) {
      if (*alive) OnReply(acceptor_.uuid(), acceptor_.incarnation(), reply);
    });
    return;
  }
  if (!env_.Reachable(uuid)) {
    answers_[uuid].kind = Answer::kUnreachable;
    unreachable_.insert(uuid);
    return;
  }
  env_.Send(uuid, message);
}

void Originator::OnReply(const std::string& from, uint64_t incarnation, const pb::PhaseReply& reply) {
  if (finished_ || reply.phase() != request_.phase() || !Equal(reply.ballot(), request_.ballot())) return;
  auto it = answers_.find(from);
  if (it == answers_.end() || it->second.kind == Answer::kAcc || it->second.kind == Answer::kRjt) return;
  counter_seen_ = std::max({counter_seen_, reply.promised().counter(), reply.accepted().counter()});
  unreachable_.erase(from);
  Answer& answer = it->second;
  answer.incarnation = incarnation;
  answer.reply = reply;
  if (reply.acc()) {
    answer.kind = Answer::kAcc;
    if (command_.read && reply.phase() == pb::BRICK) reports_[from] = reply.report();
    return Inject(OpEvent::kRcvdAcc);
  }
  if (reply.why() == pb::PhaseReply::I_AM_BEHIND && helped_.insert(from).second) {
    pb::PeerMessage help;
    help.set_from(acceptor_.uuid());
    help.set_incarnation(acceptor_.incarnation());
    help.set_cluster_id(acceptor_.conf().cluster_id());
    help.set_generation(acceptor_.generation());
    help.set_checksum(acceptor_.checksum());
    *help.mutable_hello()->mutable_conf() = acceptor_.conf();
    env_.Send(from, help);
    return SendTo(from);
  }
  if (reply.why() == pb::PhaseReply::I_AM_BEHIND || reply.why() == pb::PhaseReply::STRANGER) {
    // It stands apart: no reason to keep the others from deciding.
    answer.kind = Answer::kUnreachable;
    unreachable_.insert(from);
    return Inject(OpEvent::kRcvdAcc);
  }
  answer.kind = Answer::kRjt;
  Refuse(from, reply);
  // A commit is not refused by one: see Weigh.
  Inject(state_ == OpState::kCommitOpSent ? OpEvent::kRcvdAcc : OpEvent::kRcvdRjt);
}

void Originator::Refuse(const std::string& uuid, const pb::PhaseReply& reply) {
  static constexpr std::string_view kPhase[] = {"?", "lock", "stage", "brick", "commit", "unlock"};
  switch (reply.why()) {
    case pb::PhaseReply::YOU_ARE_BEHIND:
      if (reply.has_decided()) acceptor_.Learn(reply.decided());
      [[fallthrough]];
    case pb::PhaseReply::LOCKED:
    case pb::PhaseReply::PROMISED:
    case pb::PhaseReply::NO_LOCK:
      retry_ = refusal_.ok() || retry_;
      break;
    default:
      retry_ = false;
      refusal_ = Status();  // a real refusal outweighs "try again"
      break;
  }
  if (!refusal_.ok()) return;
  refusal_ = Status(reply.why() == pb::PhaseReply::LOCKED ? EBUSY : EINVAL,
                    fmt::format("{} failed in {} on peer {}: {}", command_.words,
                                kPhase[reply.phase() >= 1 && reply.phase() <= 5 ? reply.phase() : 0],
                                NameOf(base_, uuid), reply.words()));
}

size_t Originator::Votes() const {
  size_t n = 0;
  for (const auto& [uuid, a] : answers_) {
    if (a.kind == Answer::kAcc && HasVote(base_, uuid, a.incarnation)) ++n;
  }
  return n;
}

bool Originator::EveryoneAnswered() const {
  return std::none_of(answers_.begin(), answers_.end(),
                      [](const auto& a) { return a.second.kind == Answer::kNone; });
}

bool Originator::MajorityImpossible() const {
  size_t possible = Votes();
  for (const auto& [uuid, a] : answers_) {
    if (a.kind == Answer::kNone || a.kind == Answer::kUnreachable) ++possible;
  }
  return possible < Majority(base_);
}

void Originator::NoMajority() {
  std::string missing;
  for (const pb::MemberConf& m : base_.member()) {
    auto it = answers_.find(m.uuid());
    if (it != answers_.end() && it->second.kind == Answer::kAcc &&
        HasVote(base_, m.uuid(), it->second.incarnation))
      continue;
    missing += (missing.empty() ? "" : ", ") + m.address();
  }
  if (refusal_.ok()) {
    refusal_ = Status(EHOSTUNREACH,
                      fmt::format("{} failed: {} of {} peers answer, {} are needed; missing: {}",
                                  command_.words, Votes(), base_.member_size(), Majority(base_), missing));
  }
  retry_ = true;
  Inject(OpEvent::kRcvdRjt);
}

// Is there enough to go on, or nobody left to wait for?
void Originator::Weigh() {
  const bool all = EveryoneAnswered();
  const bool enough = command_.read || Votes() >= Majority(base_);
  switch (state_) {
    case OpState::kLockSent:
    case OpState::kStageOpSent:
      if (all) enough ? Inject(OpEvent::kAllAcc) : NoMajority();
      break;
    case OpState::kBrickOpSent:
      if (all) enough ? Inject(OpEvent::kAllAck) : NoMajority();
      break;
    case OpState::kCommitOpSent:
      if (command_.read ? all : enough) {
        Inject(OpEvent::kAllAcc);
      } else if (all || MajorityImpossible()) {
        NoMajority();
      }
      break;
    case OpState::kAckDrain:
    case OpState::kStageOpFailed:
    case OpState::kBrickOpFailed:
    case OpState::kCommitOpFailed:
      if (all) Inject(OpEvent::kAllAck);
      break;
    case OpState::kUnlockSent:
      if (all) Inject(OpEvent::kAllAcc);
      break;
    case OpState::kDefault:
      break;
  }
}

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
  answers_.clear();
  if (!command_.read) {
    // Higher than our own last one, too: members refuse what is left of an attempt that has ended.
    ballot_.set_counter(std::max({counter_seen_, acceptor_.promised().counter(), ballot_.counter()}) + 1);
    ballot_.set_member(acceptor_.uuid());
  }
  Ask(pb::LOCK, kPhaseTimeout);
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
    Result<pb::ClusterConf> next = Apply(base_, command_.change, id_, command_.words);
    if (!next.ok()) {
      refusal_ = next.status();
      return Inject(OpEvent::kRcvdRjt);
    }
    value_ = std::move(*next);
  }
  Ask(pb::STAGE, kPhaseTimeout);
}

void Originator::SendBrick() {
  if (command_.dry_run && !finishing_) return Inject(OpEvent::kRcvdRjt);
  Ask(pb::BRICK, kBrickTimeout);
}

void Originator::SendCommit() {
  if (value_.transaction() == id_) proposed_ = true;
  Ask(pb::COMMIT, kPhaseTimeout);
}

void Originator::SendDecision() {
  if (!command_.read) {
    decided_ = true;
    acceptor_.Learn(value_);
  }
  SendUnlock();
}

void Originator::SendUnlock() { Ask(pb::UNLOCK, kPhaseTimeout); }

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
  if (failed || env_.Now() - started_ >= command_.timeout) {
    const bool unknown = proposed_;
    Status status = refusal_;
    if (unknown) {
      status =
          Status(ETIMEDOUT,
                 fmt::format("{}: the outcome is not known yet: it was sent for commit, and too few peers "
                             "answered. It will be made or dropped as a whole (see: kfs cluster log)",
                             command_.words));
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
  return out;
}

}  // namespace kfs::meta

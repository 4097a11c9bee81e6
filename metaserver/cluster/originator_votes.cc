// How an originator asks the members and weighs their answers.
#include <fmt/format.h>

#include <algorithm>

#include "common/utf8.h"
#include "metaserver/cluster/asked_by.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/cluster/envelope.h"
#include "metaserver/cluster/originator.h"

namespace kfs::meta {

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
  if (phase == pb::STAGE && !finishing_ && !command_.read) *request_.mutable_change() = change_;
  if (phase == pb::UNLOCK && decided_) *request_.mutable_value() = value_;
  // Who has granted the lock takes part in what follows; the outcome of a change is for everybody.
  const bool everybody = phase == pb::LOCK || (phase == pb::UNLOCK && !command_.read);
  std::map<std::string, Answer> asked;
  for (const pb::MemberConf& m : base_.member()) {
    if (everybody || answers_[m.uuid()].kind == Answer::kAcc) asked[m.uuid()] = {};
  }
  if (decided_) {
    for (const pb::MemberConf& m : value_.member()) asked[m.uuid()] = {};
  }
  answers_ = std::move(asked);
  // What is asked when the time is over is asked all the same, but not waited for as long.
  const Duration left = started_ + (command_.read ? kReadWhole : command_.timeout) - env_.Now();
  deadline_ = env_.Now() + std::min(timeout, std::max<Duration>(left, kLastWait));
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
  for (const std::string& uuid : others) {
    SendTo(uuid);
    // Told, in case it is only slow; but who has kept the caller waiting in one phase does not do so again.
    if (phase == pb::UNLOCK && unreachable_.contains(uuid)) answers_[uuid].kind = Answer::kUnreachable;
  }
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
    self_.Handle(message, lifetime_.While([this](const pb::PhaseReply& reply) {
      OnReply(acceptor_.uuid(), acceptor_.incarnation(), reply);
    }));
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
  // Between two attempts nothing is waited for; what comes is a late answer to the last unlock.
  if (finished_ || state_ == OpState::kDefault || reply.phase() != request_.phase() ||
      !Equal(reply.ballot(), request_.ballot()))
    return;
  auto it = answers_.find(from);
  if (it == answers_.end() || it->second.kind == Answer::kAcc || it->second.kind == Answer::kRjt) return;
  counter_seen_ = std::max({counter_seen_, reply.promised().counter(), reply.accepted().counter()});
  unreachable_.erase(from);
  apart_.erase(from);
  Answer& answer = it->second;
  answer.incarnation = incarnation;
  answer.reply = reply;
  if (reply.acc()) {
    answer.kind = Answer::kAcc;
    if (command_.read && reply.phase() == pb::BRICK) reports_[from] = reply.report();
    return Inject(OpEvent::kRcvdAcc);
  }
  if (reply.why() == pb::PhaseReply::I_AM_BEHIND && helped_.insert(from).second) {
    pb::PeerMessage help = Envelope(acceptor_);
    *help.mutable_hello()->mutable_conf() = acceptor_.conf();
    env_.Send(from, help);
    return SendTo(from);
  }
  if (reply.why() == pb::PhaseReply::I_AM_BEHIND || reply.why() == pb::PhaseReply::STRANGER ||
      (reply.why() == pb::PhaseReply::NO_ROOM && from != acceptor_.uuid())) {
    // It stands apart: no reason to keep the others from deciding.
    answer.kind = Answer::kUnreachable;
    unreachable_.insert(from);
    apart_[from] = reply.words();
    return Inject(OpEvent::kRcvdAcc);
  }
  answer.kind = Answer::kRjt;
  Refuse(from, reply);
  // A commit is not refused by one: see Weigh.
  Inject(state_ == OpState::kCommitOpSent ? OpEvent::kRcvdAcc : OpEvent::kRcvdRjt);
}

void Originator::Refuse(const std::string& uuid, const pb::PhaseReply& reply) {
  static constexpr std::string_view kPhase[] = {"?", "lock", "stage", "brick", "commit", "unlock"};
  const std::string_view phase = kPhase[reply.phase() >= 1 && reply.phase() <= 5 ? reply.phase() : 0];
  refusals_[uuid] = fmt::format("in {}: {}", phase, reply.words());
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
                    fmt::format("{} failed in {} on peer {}: {}. Nothing was changed", Named(), phase,
                                NameOf(base_, uuid), reply.words()));
}

std::string Originator::Named() const {
  constexpr size_t kNameMax = 80;  // the reason is what the caller wants to read
  return CutText(WithoutAsker(command_.words), kNameMax);
}

size_t Originator::Votes() const {
  size_t n = 0;
  for (const auto& [uuid, a] : answers_) {
    if (a.kind == Answer::kAcc && HasVote(base_, uuid, a.incarnation)) ++n;
  }
  return n;
}

size_t Originator::Needed() const { return meta::Needed(base_, command_.change); }

bool Originator::EveryoneAnswered() const {
  return std::none_of(answers_.begin(), answers_.end(),
                      [](const auto& a) { return a.second.kind == Answer::kNone; });
}

bool Originator::MajorityImpossible() const {
  size_t possible = Votes();
  for (const auto& [uuid, a] : answers_) {
    if (a.kind == Answer::kNone || a.kind == Answer::kUnreachable) ++possible;
  }
  return possible < Needed();
}

void Originator::NoMajority() {
  std::string missing;
  for (const pb::MemberConf& m : base_.member()) {
    auto it = answers_.find(m.uuid());
    if (it != answers_.end() && it->second.kind == Answer::kAcc &&
        HasVote(base_, m.uuid(), it->second.incarnation))
      continue;
    missing += (missing.empty() ? "" : ", ") + m.address();
    if (it != answers_.end() && it->second.reply.why() == pb::PhaseReply::NO_ROOM)
      missing += fmt::format(" ({})", it->second.reply.words());
  }
  // Where somebody has refused (the only member itself, say) asking again gives the same answer. A commit may
  // have been accepted by others all the same: that is to be known.
  if (refusal_.ok() || state_ == OpState::kCommitOpSent) retry_ = true;
  if (refusal_.ok()) {
    refusal_ =
        Status(EHOSTUNREACH, fmt::format("{} failed: {} of {} peers answer, {} are needed; missing: {}",
                                         Named(), Votes(), base_.member_size(), Needed(), missing));
  }
  Raise(OpEvent::kRcvdRjt);
}

// Answers can come while others are still being asked (our own does), and weighing them twice must not lead
// on twice.
void Originator::Raise(OpEvent event) {
  if (told_) return;
  told_ = true;
  Inject(event);
}

// Is there enough to go on, or nobody left to wait for?
void Originator::Weigh() {
  const bool all = EveryoneAnswered();
  const bool enough = command_.read || Votes() >= Needed();
  switch (state_) {
    case OpState::kLockSent:
    case OpState::kStageOpSent:
      if (all) enough ? Raise(OpEvent::kAllAcc) : NoMajority();
      break;
    case OpState::kBrickOpSent:
      if (all) enough ? Raise(OpEvent::kAllAck) : NoMajority();
      break;
    case OpState::kCommitOpSent:
      if (command_.read ? all : enough) {
        Raise(OpEvent::kAllAcc);
      } else if (all || MajorityImpossible()) {
        NoMajority();
      }
      break;
    case OpState::kAckDrain:
    case OpState::kStageOpFailed:
    case OpState::kBrickOpFailed:
    case OpState::kCommitOpFailed:
      if (all) Raise(OpEvent::kAllAck);
      break;
    case OpState::kUnlockSent:
      if (all) Raise(OpEvent::kAllAcc);
      break;
    case OpState::kDefault:
      break;
  }
}

}  // namespace kfs::meta

#include "metaserver/cluster/node.h"

#include <algorithm>

#include "metaserver/cluster/configuration.h"
#include "metaserver/cluster/envelope.h"

namespace kfs::meta {

ClusterNode::ClusterNode(ClusterEnv& env, MemberStore& store)
    : acceptor_(store), env_(env, acceptor_), participant_(env_, acceptor_), friends_(env_, acceptor_) {}

std::string ClusterNode::Submit(Command command, Originator::Done told) {
  Originator::Done done = [this, told = std::move(told)](const Outcome& outcome) {
    acceptor_.WhenDurable([told, outcome] { told(outcome); });
  };
  const auto refuse = [&](int code, const std::string& words) {
    done({.kind = Outcome::kNothingChanged, .status = Status(code, words)});
    return std::string();
  };
  // Under an id that is known nothing is begun a second time.
  if (auto it = originators_.find(command.id); it != originators_.end()) {
    Originator& same = *it->second;
    if (same.command().words != command.words)
      return refuse(EINVAL, "another command is under way under the same id: " + same.command().words);
    if (same.waiters() >= kWaitersMax) return refuse(EAGAIN, "too many wait for this command: try again");
    same.Attach(std::move(done));
    return same.id();
  }
  const pb::ClusterConf& conf = acceptor_.conf();
  if (!command.id.empty() &&
      std::find(conf.recent().begin(), conf.recent().end(), command.id) != conf.recent().end()) {
    done({.kind = Outcome::kDone, .status = {}, .generation = conf.generation()});
    return command.id;
  }
  if (originators_.size() >= kTransactionsMax)
    return refuse(EAGAIN, "too many commands are under way on this metaserver: try again");
  auto originator = std::make_unique<Originator>(env_, acceptor_, participant_, std::move(command));
  Originator& started = *originator;
  originators_[started.id()] = std::move(originator);
  started.Attach([this, &started](const Outcome& outcome) { history_.Add(started, outcome, env_.Now()); });
  started.Attach(std::move(done));
  started.Start();
  return started.id();
}

bool ClusterNode::Abort(const std::string& id) {
  auto it = originators_.find(id);
  return it != originators_.end() && it->second->Abort();
}

void ClusterNode::GiveUp(const std::string& id) {
  if (auto it = originators_.find(id); it != originators_.end()) it->second->GiveUp();
}

void ClusterNode::OnMessage(const pb::PeerMessage& message) {
  friends_.Follow();
  if (!friends_.Admit(message)) return;
  switch (message.body_case()) {
    case pb::PeerMessage::kRequest:
      return participant_.Handle(message, [this, to = message.from(),
                                           transaction = message.transaction()](const pb::PhaseReply& reply) {
        pb::PeerMessage answer = Envelope(acceptor_);
        answer.set_transaction(transaction);
        *answer.mutable_reply() = reply;
        env_.Send(to, answer);
      });
    case pb::PeerMessage::kReply: {
      auto it = originators_.find(message.transaction());
      if (it != originators_.end())
        it->second->OnReply(message.from(), message.incarnation(), message.reply());
      return;
    }
    case pb::PeerMessage::kHello:
    case pb::PeerMessage::kFriendship:
      return friends_.OnMessage(message);
    case pb::PeerMessage::BODY_NOT_SET:
      return;
  }
}

void ClusterNode::OnTimer() {
  participant_.OnTimer();
  for (const auto& [id, o] : originators_) o->OnTimer();
  std::erase_if(originators_,
                [](const auto& o) { return o.second->finished() && o.second->state() == OpState::kDefault; });
  friends_.OnTimer();
  FinishUndecided();
}

// A change that was accepted here and whose originator is gone: somebody has to bring it to an end.
void ClusterNode::FinishUndecided() {
  const MonoTime now = env_.Now();
  const bool open = acceptor_.accepted().counter() != 0 && participant_.lock_holder().empty() &&
                    originators_.empty() &&
                    HasVote(acceptor_.conf(), acceptor_.uuid(), acceptor_.incarnation());
  if (!open) {
    undecided_since_ = MonoTime{};
    return;
  }
  if (undecided_since_ == MonoTime{}) {
    undecided_since_ = now + std::chrono::milliseconds(env_.Random() % 2000);  // not everybody at once
    return;
  }
  if (now - undecided_since_ < std::chrono::seconds(1)) return;
  undecided_since_ = MonoTime{};
  Submit({.words = "(finish what is undecided)"}, [](const Outcome&) {});
}

}  // namespace kfs::meta

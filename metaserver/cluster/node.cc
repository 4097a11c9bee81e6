#include "metaserver/cluster/node.h"

#include "common/log.h"
#include "metaserver/cluster/configuration.h"

namespace kfs::meta {

ClusterNode::ClusterNode(ClusterEnv& env, MemberStore& store)
    : env_(env), acceptor_(store), participant_(env, acceptor_) {}

std::string ClusterNode::Submit(Command command, Originator::Done done) {
  if (originators_.size() >= kTransactionsMax) {
    done({.kind = Outcome::kNothingChanged,
          .status = Status(EAGAIN, "too many commands are under way on this metaserver: try again")});
    return "";
  }
  auto originator =
      std::make_unique<Originator>(env_, acceptor_, participant_, std::move(command), std::move(done));
  Originator& started = *originator;
  originators_[started.id()] = std::move(originator);
  started.Start();
  return started.id();
}

bool ClusterNode::Abort(const std::string& id) {
  auto it = originators_.find(id);
  return it != originators_.end() && it->second->Abort();
}

pb::PeerMessage ClusterNode::Message() const {
  pb::PeerMessage m;
  m.set_from(acceptor_.uuid());
  m.set_incarnation(acceptor_.incarnation());
  m.set_cluster_id(acceptor_.conf().cluster_id());
  m.set_generation(acceptor_.generation());
  m.set_checksum(acceptor_.checksum());
  return m;
}

void ClusterNode::OnMessage(const pb::PeerMessage& message) {
  if (message.cluster_id() != acceptor_.conf().cluster_id()) {
    KFS_LOG(warn, "cluster.stranger from={} cluster={}", message.from(), message.cluster_id());
    return;
  }
  // What a member said before it lost its state no longer counts.
  const pb::MemberConf* member = FindMember(acceptor_.conf(), message.from());
  if (member != nullptr && message.incarnation() < member->incarnation()) return;
  switch (message.body_case()) {
    case pb::PeerMessage::kRequest:
      return participant_.Handle(message, [this, to = message.from(),
                                           transaction = message.transaction()](const pb::PhaseReply& reply) {
        pb::PeerMessage answer = Message();
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
      return OnHello(message);
    case pb::PeerMessage::BODY_NOT_SET:
      return;
  }
}

void ClusterNode::OnHello(const pb::PeerMessage& message) {
  const pb::PeerHello& hello = message.hello();
  if (hello.has_conf()) {
    if (hello.conf().cluster_id() == acceptor_.conf().cluster_id()) acceptor_.Learn(hello.conf());
    return;
  }
  const bool behind = message.generation() > acceptor_.generation();
  if (!behind && !(message.generation() < acceptor_.generation()) && !hello.want_conf()) {
    if (message.checksum() != acceptor_.checksum()) {
      KFS_LOG(error, "cluster.conflict peer={} generation={} next=\"kfs peer why {}\"", message.from(),
              acceptor_.generation(), NameOf(acceptor_.conf(), message.from()));
    }
    return;
  }
  pb::PeerMessage answer = Message();
  if (behind) {
    answer.mutable_hello()->set_want_conf(true);
  } else {
    *answer.mutable_hello()->mutable_conf() = acceptor_.conf();
  }
  env_.Send(message.from(), answer);
}

void ClusterNode::SayHello() {
  pb::PeerMessage hello = Message();
  hello.mutable_hello();
  for (const pb::MemberConf& m : acceptor_.conf().member()) {
    if (m.uuid() != acceptor_.uuid() && env_.Reachable(m.uuid())) env_.Send(m.uuid(), hello);
  }
}

void ClusterNode::OnTimer() {
  const MonoTime now = env_.Now();
  participant_.OnTimer();
  for (const auto& [id, o] : originators_) o->OnTimer();
  std::erase_if(originators_,
                [](const auto& o) { return o.second->finished() && o.second->state() == OpState::kDefault; });
  if (now >= hello_at_) {
    hello_at_ = now + kHelloEvery;
    SayHello();
  }
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

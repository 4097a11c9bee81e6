#include "metaserver/cluster/friends.h"

#include <fmt/format.h>

#include "metaserver/cluster/configuration.h"
#include "metaserver/cluster/envelope.h"

namespace kfs::meta {
namespace {

bool IsReject(const pb::PeerMessage& message) {
  return message.has_friendship() && message.friendship().kind() == pb::PeerFriend::RJT;
}

}  // namespace

FriendMachine* Friends::Find(const std::string& uuid) {
  auto it = machines_.find(uuid);
  return it == machines_.end() ? nullptr : it->second.get();
}

// ---- strangers

bool Friends::TellNow(const std::string& uuid) {
  ++strangers_;
  const MonoTime now = env_.Now();
  auto it = told_.find(uuid);
  if (it != told_.end() && now - it->second < kTellEvery) return false;
  if (it == told_.end() && told_.size() >= kStrangersKept) {
    std::erase_if(told_, [&](const auto& t) { return now - t.second >= kTellEvery; });
    if (told_.size() >= kStrangersKept) return false;
  }
  told_[uuid] = now;
  return true;
}

void Friends::Refuse(const pb::PeerMessage& message, const std::string& words, bool with_conf) {
  // A refusal of a refusal would be refused in turn.
  if (IsReject(message) || message.from() == acceptor_.uuid() || !TellNow(message.from())) return;
  KFS_LOG(warn, "cluster.stranger from={} incarnation={} cluster={} generation={} told=\"{}\"",
          message.from(), message.incarnation(), message.cluster_id(), message.generation(), words);
  pb::PeerMessage answer = Envelope(acceptor_);
  pb::PeerFriend& body = *answer.mutable_friendship();
  body.set_kind(with_conf ? pb::PeerFriend::REMOVE : pb::PeerFriend::RJT);
  body.set_words(words);
  body.set_to_incarnation(message.incarnation());
  if (with_conf) *body.mutable_conf() = acceptor_.conf();
  env_.Send(message.from(), answer);
}

bool Friends::Admit(const pb::PeerMessage& message) {
  FriendMachine* peer = Find(message.from());
  if (message.cluster_id() != acceptor_.conf().cluster_id()) {
    // Where one of our members ought to be there is another cluster's metaserver. (While we are out ourselves
    // it makes no difference what others are.)
    if (peer != nullptr && out_.empty() && IsReject(message) &&
        message.friendship().to_incarnation() == acceptor_.incarnation())
      peer->OnMessage(message);
    Refuse(message, fmt::format("this metaserver belongs to the cluster \"{}\", not to \"{}\"",
                                acceptor_.conf().cluster_id(), message.cluster_id()));
    return false;
  }
  const pb::MemberConf* member = FindMember(acceptor_.conf(), message.from());
  if (member != nullptr && message.incarnation() < member->incarnation()) {
    Refuse(message,
           fmt::format("you speak as incarnation {} of {}, which has been readmitted as incarnation {}: "
                       "an old state was brought back, or it runs twice",
                       message.incarnation(), member->address(), member->incarnation()));
    return false;
  }
  if (peer != nullptr) peer->Heard(message);
  return true;
}

// Not in our configuration, and not being detached either: it has missed that, or we have missed its coming.
void Friends::OnStranger(const pb::PeerMessage& message) {
  if (message.generation() > acceptor_.generation()) return CatchUp(message);
  if (acceptor_.generation() == 0) return;  // we do not know who is one
  const bool missed = message.generation() < acceptor_.generation();
  Refuse(message,
         fmt::format("{} is not a member of the cluster in generation {}{}", message.from(),
                     acceptor_.generation(), missed ? ": it was detached" : " (see: kfs peer probe)"),
         missed);
}

// ---- who has missed what

void Friends::CatchUp(const pb::PeerMessage& message) {
  pb::PeerMessage answer = Envelope(acceptor_);
  if (message.generation() > acceptor_.generation()) {
    answer.mutable_hello()->set_want_conf(true);
  } else if (message.generation() < acceptor_.generation() ||
             (message.has_hello() && message.hello().want_conf())) {
    *answer.mutable_hello()->mutable_conf() = acceptor_.conf();
  } else {
    return;
  }
  env_.Send(message.from(), answer);
}

void Friends::TakeConf(const pb::PeerMessage& from, const pb::ClusterConf& conf) {
  if (conf.cluster_id() != acceptor_.conf().cluster_id()) return;
  if (acceptor_.Learn(conf) != Acceptor::Learned::kConflict) return Follow();
  if (FriendMachine* peer = Find(from.from())) peer->OnMessage(from);
}

void Friends::OnRemove(const pb::PeerMessage& message) {
  TakeConf(message, message.friendship().conf());
  if (out_.empty()) return CatchUp(message);  // we are a member again, and it has missed that
  pb::PeerMessage answer = Envelope(acceptor_);
  answer.mutable_friendship()->set_kind(pb::PeerFriend::ACC);
  env_.Send(message.from(), answer);
}

void Friends::OnMessage(const pb::PeerMessage& message) {
  if (message.has_hello() && message.hello().has_conf()) return TakeConf(message, message.hello().conf());
  const pb::PeerFriend::Kind kind = message.friendship().kind();
  if (kind == pb::PeerFriend::REMOVE) return OnRemove(message);
  if (kind == pb::PeerFriend::RJT && message.friendship().to_incarnation() != acceptor_.incarnation()) return;
  // A member that is out takes and gives what was decided, nothing else.
  if (!out_.empty()) return kind == pb::PeerFriend::RJT ? void() : CatchUp(message);
  FriendMachine* peer = Find(message.from());
  if (peer == nullptr) return OnStranger(message);
  // Says nothing about friendship.
  if (message.has_hello() && message.hello().want_conf()) return CatchUp(message);
  // Whoever is being detached gets the configuration with its REMOVE.
  if (peer->state() != FriendState::kUnfriendSent && (message.has_hello() || kind == pb::PeerFriend::REQUEST))
    CatchUp(message);
  peer->OnMessage(message);
}

// ---- the configuration

void Friends::Follow() {
  const pb::ClusterConf& conf = acceptor_.conf();
  if (followed_ == acceptor_.checksum()) return;
  followed_ = acceptor_.checksum();
  std::erase_if(machines_, [](const auto& m) { return m.second->gone(); });
  const bool was_out = !out_.empty();
  out_ = conf.generation() == 0 || FindMember(conf, acceptor_.uuid()) != nullptr
             ? ""
             : fmt::format(
                   "this metaserver is not in generation {} of the cluster \"{}\" (\"{}\"): it was detached",
                   conf.generation(), conf.cluster_id(), conf.command());
  if (!out_.empty() && !was_out)
    KFS_LOG(warn, "cluster.detached generation={} reason=\"{}\"", conf.generation(), out_);
  for (const pb::MemberConf& m : conf.member()) {
    if (m.uuid() == acceptor_.uuid()) continue;
    FriendMachine* peer = Find(m.uuid());
    const bool fresh = peer == nullptr;
    if (fresh) {
      peer =
          machines_.emplace(m.uuid(), std::make_unique<FriendMachine>(env_, acceptor_, m.uuid(), m.address()))
              .first->second.get();
    }
    peer->Rename(m.address());
    if (fresh || peer->state() == FriendState::kUnfriendSent || (was_out && out_.empty()))
      peer->Inject(FriendEvent::kProbe);
  }
  for (const auto& [uuid, peer] : machines_) {
    if (!out_.empty()) {
      peer->Inject(FriendEvent::kRcvdRemoveFriend, out_);
    } else if (FindMember(conf, uuid) == nullptr) {
      if (peer->state() != FriendState::kUnfriendSent) peer->Inject(FriendEvent::kInitRemoveFriend);
    } else {
      peer->OnGeneration();
    }
  }
  std::erase_if(machines_, [&](const auto& m) {
    return m.second->gone() || (!out_.empty() && FindMember(conf, m.first) == nullptr);
  });
}

void Friends::OnTimer() {
  Follow();
  for (const auto& [uuid, peer] : machines_) peer->OnTimer();
  std::erase_if(machines_, [](const auto& m) { return m.second->gone(); });
  if (env_.Now() < hello_at_) return;
  hello_at_ = env_.Now() + kHelloEvery;
  for (const auto& [uuid, peer] : machines_) peer->SayHello();
}

std::vector<PeerView> Friends::Peers() const {
  std::vector<PeerView> out;
  for (const auto& [uuid, peer] : machines_) {
    if (peer->gone()) continue;
    out.push_back({.uuid = uuid,
                   .address = peer->address(),
                   .state = peer->state(),
                   .connected = peer->connected(),
                   .generation = peer->generation(),
                   .checksum = peer->checksum(),
                   .last_heard = peer->last_heard(),
                   .reason = peer->reason(),
                   .log = &peer->log()});
  }
  return out;
}

}  // namespace kfs::meta

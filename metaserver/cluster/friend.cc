#include "metaserver/cluster/friend.h"

#include <fmt/format.h>

#include <algorithm>

#include "metaserver/cluster/configuration.h"
#include "metaserver/cluster/envelope.h"
#include "metaserver/cluster/friend_table.h"

namespace kfs::meta {

FriendMachine::FriendMachine(ClusterEnv& env, const Acceptor& acceptor, std::string uuid, std::string address)
    : env_(env), acceptor_(acceptor), uuid_(std::move(uuid)), address_(std::move(address)) {
  SetDeadline();
}

void FriendMachine::Inject(FriendEvent event, const std::string& words) {
  if (!words.empty()) words_ = words;
  queue_.push_back(event);
  if (queue_.size() > 1) return;  // the loop below is running: it takes this one, too
  while (!queue_.empty()) {
    Apply(queue_.front());
    queue_.pop_front();
  }
}

void FriendMachine::Apply(FriendEvent event) {
  const std::string subject = "peer " + address_;
  const auto* row = FriendTables::kTable.Find(state_, event);
  if (row == nullptr) return log_.Unexpected(env_.Now(), subject, NameOf(state_), NameOf(event));
  const std::string_view from = NameOf(row->from), to = NameOf(row->to);
  // What repeats itself without end would push the rest out of the log.
  const auto* last = log_.entries().empty() ? nullptr : &log_.entries().back();
  const bool again = last != nullptr && row->from == row->to && last->from == from &&
                     last->event == NameOf(event) && last->to == to;
  if (!again) log_.Add(env_.Now(), subject, from, NameOf(event), to);
  const bool moves = row->from != row->to;
  state_ = row->to;
  if (moves) {
    weighing_ = weighing_ && (state_ == FriendState::kReqRcvd || state_ == FriendState::kConnectedRcvd ||
                              state_ == FriendState::kReqSentRcvd || state_ == FriendState::kReqAccepted);
    if (state_ != FriendState::kRejected) reason_.clear();
  }
  if (moves || event == FriendEvent::kTimeout) SetDeadline();
  (this->*row->run)();
}

void FriendMachine::SetDeadline() {
  const Duration wait = state_ == FriendState::kRejected ? kAskRejected : kAskAgain;
  deadline_ =
      env_.Now() + wait + std::chrono::nanoseconds(env_.Random() % static_cast<uint64_t>(wait.count() / 2));
}

void FriendMachine::OnTimer() {
  if (env_.Reachable(uuid_) != connected_) {
    connected_ = !connected_;
    if (connected_) last_heard_ = std::max(last_heard_, env_.Now());  // its silence begins now
    Inject(connected_ ? FriendEvent::kConnected : FriendEvent::kDisconnected);
  }
  if (state_ == FriendState::kBefriended) {
    if (connected_ && env_.Now() - last_heard_ >= kSilence) Inject(FriendEvent::kTimeout);
  } else if (env_.Now() >= deadline_) {
    Inject(FriendEvent::kTimeout);
  }
}

void FriendMachine::Heard(const pb::PeerMessage& message) {
  last_heard_ = env_.Now();
  if (message.incarnation() < incarnation_) return;
  if (message.incarnation() == incarnation_ && message.generation() < generation_) return;
  incarnation_ = message.incarnation();
  generation_ = message.generation();
  checksum_ = message.checksum();
}

bool FriendMachine::Contradicts(const pb::PeerMessage& message) const {
  return message.generation() == acceptor_.generation() && message.checksum() != acceptor_.checksum();
}

void FriendMachine::OnMessage(const pb::PeerMessage& message) {
  if (message.has_hello() && state_ == FriendState::kBefriended) {
    if (Contradicts(message)) Inject(FriendEvent::kRcvdLocalRjt);
    return;
  }
  if (message.has_hello()) return Inject(FriendEvent::kRcvdFriendReq);
  switch (message.friendship().kind()) {
    case pb::PeerFriend::REQUEST:
      return Inject(FriendEvent::kRcvdFriendReq);
    case pb::PeerFriend::ACC:
      if (state_ == FriendState::kUnfriendSent && message.generation() < removed_in_) return;  // of a REQUEST
      return Inject(Contradicts(message) ? FriendEvent::kRcvdLocalRjt : FriendEvent::kRcvdAcc);
    case pb::PeerFriend::RJT:
      words_ = message.friendship().words().substr(0, kWordsMax);
      return Inject(FriendEvent::kRcvdRjt);
    default:
      return;
  }
}

void FriendMachine::OnGeneration() {
  if (weighing_) return Inject(FriendEvent::kRcvdFriendReq);
  if (state_ == FriendState::kRejected) deadline_ = env_.Now();
}

void FriendMachine::Rename(const std::string& address) {
  if (address == address_) return;
  address_ = address;
  Inject(FriendEvent::kNewName);
}

void FriendMachine::Send(pb::PeerFriend::Kind kind, const std::string& words) {
  pb::PeerMessage message = Envelope(acceptor_);
  pb::PeerFriend& body = *message.mutable_friendship();
  body.set_kind(kind);
  body.set_words(words);
  if (kind == pb::PeerFriend::RJT) body.set_to_incarnation(incarnation_);
  if (kind == pb::PeerFriend::REMOVE) *body.mutable_conf() = acceptor_.conf();
  env_.Send(uuid_, message);
}

void FriendMachine::SayHello() {
  if (state_ != FriendState::kBefriended || !connected_) return;
  pb::PeerMessage hello = Envelope(acceptor_);
  hello.mutable_hello();
  env_.Send(uuid_, hello);
}

// ---- asking

void FriendMachine::Begin() {
  if (connected_ && FindMember(acceptor_.conf(), acceptor_.uuid()) != nullptr)
    Inject(FriendEvent::kInitFriendReq);
}

void FriendMachine::AskFirst() { Inject(FriendEvent::kInitFriendReq); }

void FriendMachine::SendRequest() {
  if (!connected_) return Inject(FriendEvent::kDisconnected);
  Send(pb::PeerFriend::REQUEST);
}

void FriendMachine::AskStill() {
  if (connected_) Send(pb::PeerFriend::REQUEST);
}

void FriendMachine::Renamed() {
  deadline_ = env_.Now();
  SayHello();
}

// ---- agreeing, or not

void FriendMachine::Weigh() {
  weighing_ = generation_ > acceptor_.generation();
  if (weighing_) return;
  const bool same = generation_ < acceptor_.generation() || checksum_ == acceptor_.checksum();
  Inject(same ? FriendEvent::kRcvdLocalAcc : FriendEvent::kRcvdLocalRjt);
}

void FriendMachine::SendAcc() {
  Send(pb::PeerFriend::ACC);
  // The peer has asked because it does not know any more that we are friends.
  if (state_ == FriendState::kBefriended) Befriend();
}

void FriendMachine::Welcome() {
  Send(pb::PeerFriend::ACC);
  Inject(FriendEvent::kInitFriendReq);
}

void FriendMachine::Befriend() {
  if (!quarrels_.empty()) KFS_LOG(info, "cluster.peer_agrees peer={} uuid={}", address_, uuid_);
  quarrels_.clear();
  reason_.clear();
  SayHello();
}

void FriendMachine::Reconcile() {
  Send(pb::PeerFriend::ACC);
  Begin();
}

void FriendMachine::SendReject() {
  Quarrel(fmt::format("it has another configuration under generation {} (see: kfs peer why {})",
                      acceptor_.generation(), address_));
  Send(pb::PeerFriend::RJT,
       fmt::format("{} has another configuration under generation {} (see: kfs peer why)",
                   NameOf(acceptor_.conf(), acceptor_.uuid()), acceptor_.generation()));
}

void FriendMachine::TakeReject() { Quarrel("it refuses us: " + words_); }

// Loudly, but each reason once, until the two have agreed again.
void FriendMachine::Quarrel(const std::string& reason) {
  reason_ = reason;
  if (quarrels_.size() >= kQuarrelsMax || !quarrels_.insert(reason).second) return;
  KFS_LOG(error, "cluster.peer_rejected peer={} uuid={} generation={} its_generation={} reason=\"{}\"",
          address_, uuid_, acceptor_.generation(), generation_, reason);
}

// ---- parting

void FriendMachine::StartRemove() {
  removed_in_ = acceptor_.generation();
  removes_ = 0;
  KFS_LOG(info, "cluster.peer_detached peer={} uuid={} generation={}", address_, uuid_, removed_in_);
  SendRemove();
}

void FriendMachine::SendRemove() {
  reason_ = "it was detached, and has not answered yet";
  if (++removes_ > kRemovesMax) return Inject(FriendEvent::kRemoveFriend);
  if (connected_)
    Send(pb::PeerFriend::REMOVE, fmt::format("detached from the cluster by generation {}", removed_in_));
}

void FriendMachine::ConfirmRemove() { Inject(FriendEvent::kRemoveFriend); }

void FriendMachine::Forget() { gone_ = true; }

void FriendMachine::GetOut() { reason_ = words_; }

}  // namespace kfs::meta

// One member's friendship with another: who has asked whom, who has agreed, and that their configurations do
// not contradict each other. The meaning of states and events is glusterd's; what it lacks are the deadlines:
// in every state but Befriended a TIMEOUT leads back to asking, so that no message that is lost leaves a peer
// between two states for good.
//
//   Default --CONNECTED, INIT_FRIEND_REQ: send REQUEST--> ReqSent --RCVD_ACC----------+
//      |                                                     |                        |
//   RCVD_FRIEND_REQ: weigh                         RCVD_FRIEND_REQ: weigh             |
//      v                                                     v                        v
//   ReqRcvd --CONNECTED--> ConnectedRcvd                ReqSentRcvd --RCVD_ACC--> ReqAccepted
//      |                        |                            |                        |
//      |  RCVD_LOCAL_ACC: send ACC; ConnectedRcvd also its own REQUEST                |
//      v                        v                            |                        v
//   ProbeRcvd --CONNECTED--> ConnectedAccepted <-------------+                   Befriended
//             : send REQUEST    |                                                     ^
//                               +--RCVD_ACC-------------------------------------------+
//
//   RCVD_LOCAL_RJT: send RJT, RCVD_RJT      -> Rejected   (asks again, until both agree)
//   TIMEOUT: send REQUEST                   -> ReqSent    (Rejected and UnfriendSent: again where they are)
//   DISCONNECTED                            -> what is left without a connection; Befriended stays
//   INIT_REMOVE_FRIEND: send REMOVE         -> UnfriendSent --RCVD_ACC, REMOVE_FRIEND--> gone
//   RCVD_REMOVE_FRIEND (we are out)         -> Default
//
// To weigh a request: a peer with an older generation is accepted (and sent ours), one with a newer
// generation once we have imported it, and one with another checksum under our generation is refused. A hello
// is said by whoever is Befriended; where it finds no friendship it counts as a request. Loop's thread only.
#pragma once

#include <deque>
#include <set>
#include <string>
#include <string_view>

#include "metaserver/cluster/acceptor.h"
#include "metaserver/cluster/environment.h"
#include "metaserver/cluster/transition_log.h"

namespace kfs::meta {

enum class FriendState {
  kDefault,            // nothing is said: not connected, or one of us is out
  kProbeRcvd,          // its request is accepted; ours goes when there is a connection
  kReqSent,            // asked, nothing has come
  kReqRcvd,            // its request has come, and waits for what we have to import; not connected
  kConnectedRcvd,      // the same, connected
  kReqSentRcvd,        // both have asked; its request waits for what we have to import
  kReqAccepted,        // it has accepted us; its request has not come, or waits
  kConnectedAccepted,  // we have accepted it, and wait for its answer
  kBefriended,
  kRejected,     // we disagree: see reason()
  kUnfriendSent  // it was detached, and is told
};
enum class FriendEvent {
  kProbe,  // it has become a member
  kInitFriendReq,
  kRcvdAcc,       // from the peer
  kRcvdLocalAcc,  // we agree with the peer
  kRcvdRjt,
  kRcvdLocalRjt,
  kRcvdFriendReq,
  kInitRemoveFriend,  // it is not a member any more
  kRcvdRemoveFriend,  // we are not
  kRemoveFriend,      // it knows, or will not be waited for any longer
  kConnected,
  kDisconnected,
  kNewName,  // its address has changed
  kTimeout
};
std::string_view NameOf(FriendState state);  // as logged
std::string_view NameOf(FriendEvent event);
// For people, as gluster's peer status has it: "Peer in Cluster".
std::string_view WordsFor(FriendState state);

class FriendMachine {
 public:
  FriendMachine(ClusterEnv& env, const Acceptor& acceptor, std::string uuid, std::string address);

  // PROBE, INIT_REMOVE_FRIEND and RCVD_REMOVE_FRIEND come from the configuration, with words for people.
  void Inject(FriendEvent event, const std::string& words = "");
  // Anything from the peer, before what follows.
  void Heard(const pb::PeerMessage& message);
  // Its hello (without a configuration) or its part of the handshake.
  void OnMessage(const pb::PeerMessage& message);
  // Our own configuration has changed.
  void OnGeneration();
  void Rename(const std::string& address);
  // Watches ClusterEnv::Reachable (CONNECTED, DISCONNECTED) and the deadlines.
  void OnTimer();
  void SayHello();

  const std::string& uuid() const { return uuid_; }
  const std::string& address() const { return address_; }
  FriendState state() const { return state_; }
  bool connected() const { return connected_; }
  bool gone() const { return gone_; }  // to be forgotten
  uint64_t generation() const { return generation_; }
  const std::string& checksum() const { return checksum_; }
  MonoTime last_heard() const { return last_heard_; }
  const std::string& reason() const { return reason_; }
  size_t quarrels() const { return quarrels_.size(); }  // that were logged and are not settled
  const TransitionLog& log() const { return log_; }

  // Several times what a message and its answer take, so that an answer that is still on its way is not asked
  // for again; up to half of it is added at random.
  static constexpr auto kAskAgain = std::chrono::milliseconds(1000);
  static constexpr auto kAskRejected = std::chrono::milliseconds(2000);
  // A friend that is connected and says nothing for this long (five hellos) is asked anew.
  static constexpr auto kSilence = std::chrono::seconds(5);
  // A detached peer is told as often as this; after that it is told when it speaks.
  static constexpr int kRemovesMax = 30;
  static constexpr size_t kQuarrelsMax = 8;  // different reasons that are logged for one disagreement
  static constexpr size_t kWordsMax = 400;   // of a peer's reason

 private:
  friend struct FriendTables;
  using Handler = void (FriendMachine::*)();

  void Apply(FriendEvent event);
  void SetDeadline();
  void Send(pb::PeerFriend::Kind kind, const std::string& words = "");
  bool Contradicts(const pb::PeerMessage& message) const;
  void Quarrel(const std::string& reason);

  // Handlers of the table.
  void Nothing() {}
  void Begin();
  void AskFirst();
  void SendRequest();
  void AskStill();
  void Weigh();
  void SendAcc();
  void Welcome();
  void Befriend();
  void Reconcile();
  void SendReject();
  void TakeReject();
  void StartRemove();
  void SendRemove();
  void ConfirmRemove();
  void Forget();
  void GetOut();
  void Renamed();

  ClusterEnv& env_;
  const Acceptor& acceptor_;
  const std::string uuid_;
  std::string address_;
  TransitionLog log_;
  FriendState state_ = FriendState::kDefault;
  std::deque<FriendEvent> queue_;
  MonoTime deadline_;
  bool connected_ = false, gone_ = false;
  bool weighing_ = false;  // its request waits for what we have to import
  // What the peer has said of itself, last: about its present incarnation, and its newest generation.
  uint64_t incarnation_ = 0, generation_ = 0;
  std::string checksum_;
  MonoTime last_heard_{};
  std::string reason_;
  std::string words_;               // that came with the event
  std::set<std::string> quarrels_;  // what was logged about a disagreement that has not been settled
  uint64_t removed_in_ = 0;
  int removes_ = 0;
};

}  // namespace kfs::meta

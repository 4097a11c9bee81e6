// The friend machine's table: see friend.h for the diagram.
#pragma once

#include "metaserver/cluster/friend.h"
#include "metaserver/cluster/state_table.h"

namespace kfs::meta {

struct FriendTables {
  using S = FriendState;
  using E = FriendEvent;
  using M = FriendMachine;
  using Row = Transition<S, E, M::Handler>;
  using enum FriendState;
  using enum FriendEvent;

  // The way to friendship.
  static constexpr auto kWay = std::to_array<Row>({
      {kDefault, kProbe, kDefault, &M::Begin},
      {kDefault, kConnected, kDefault, &M::Begin},
      {kDefault, kInitFriendReq, kReqSent, &M::SendRequest},
      {kDefault, kRcvdFriendReq, kReqRcvd, &M::Weigh},

      {kReqSent, kRcvdAcc, kReqAccepted, &M::Nothing},
      {kReqSent, kRcvdFriendReq, kReqSentRcvd, &M::Weigh},

      {kReqSentRcvd, kRcvdAcc, kReqAccepted, &M::Nothing},
      {kReqSentRcvd, kRcvdLocalAcc, kConnectedAccepted, &M::SendAcc},

      {kReqRcvd, kConnected, kConnectedRcvd, &M::Nothing},
      {kReqRcvd, kRcvdLocalAcc, kProbeRcvd, &M::SendAcc},

      {kProbeRcvd, kConnected, kConnectedAccepted, &M::AskFirst},
      {kProbeRcvd, kRcvdFriendReq, kReqRcvd, &M::Weigh},

      {kConnectedRcvd, kRcvdLocalAcc, kConnectedAccepted, &M::Welcome},

      {kConnectedAccepted, kInitFriendReq, kConnectedAccepted, &M::SendRequest},
      {kConnectedAccepted, kRcvdLocalAcc, kConnectedAccepted, &M::SendAcc},
      {kConnectedAccepted, kRcvdAcc, kBefriended, &M::Befriend},

      {kReqAccepted, kConnected, kReqAccepted, &M::Nothing},
      {kReqAccepted, kRcvdLocalAcc, kBefriended, &M::SendAcc},

      {kBefriended, kConnected, kBefriended, &M::Befriend},
      {kBefriended, kRcvdLocalAcc, kBefriended, &M::SendAcc},

      {kRejected, kConnected, kRejected, &M::AskStill},
      {kRejected, kRcvdLocalAcc, kDefault, &M::Reconcile},
      {kRejected, kRcvdAcc, kReqAccepted, &M::Nothing},

      {kUnfriendSent, kProbe, kDefault, &M::Begin},
      {kUnfriendSent, kConnected, kUnfriendSent, &M::SendRemove},
      {kUnfriendSent, kRcvdFriendReq, kUnfriendSent, &M::SendRemove},
      {kUnfriendSent, kRcvdAcc, kUnfriendSent, &M::ConfirmRemove},
      {kUnfriendSent, kRemoveFriend, kDefault, &M::Forget},
  });
  // Its request comes (again) where one is known; an acceptance comes twice, or late.
  static constexpr auto kAgain = Join(
      StayIn(
          {kReqRcvd, kConnectedRcvd, kReqSentRcvd, kReqAccepted, kConnectedAccepted, kBefriended, kRejected},
          kRcvdFriendReq, &M::Weigh),
      StayIn({kDefault, kReqRcvd, kConnectedRcvd, kProbeRcvd, kReqAccepted, kBefriended}, kRcvdAcc,
             &M::Nothing));
  // Nobody answers: ask again.
  static constexpr auto kLate =
      Join(FromEach({kReqSent, kConnectedRcvd, kReqSentRcvd, kConnectedAccepted, kReqAccepted, kBefriended},
                    kTimeout, kReqSent, &M::SendRequest),
           FromEach({kDefault, kReqRcvd, kProbeRcvd}, kTimeout, kDefault, &M::Begin),
           StayIn({kRejected}, kTimeout, &M::AskStill), StayIn({kUnfriendSent}, kTimeout, &M::SendRemove));
  // What is left without a connection.
  static constexpr auto kCut =
      Join(FromEach({kReqSent, kReqAccepted}, kDisconnected, kDefault, &M::Nothing),
           FromEach({kReqSentRcvd, kConnectedRcvd}, kDisconnected, kReqRcvd, &M::Nothing),
           FromEach({kConnectedAccepted}, kDisconnected, kProbeRcvd, &M::Nothing),
           StayIn({kDefault, kReqRcvd, kProbeRcvd, kBefriended, kRejected, kUnfriendSent}, kDisconnected,
                  &M::Nothing));
  static constexpr S kMember[] = {kDefault,     kProbeRcvd,   kReqSent,           kReqRcvd,    kConnectedRcvd,
                                  kReqSentRcvd, kReqAccepted, kConnectedAccepted, kBefriended, kRejected};
  // From wherever two members stand.
  static constexpr auto kAny = Join(
      FromEach(kMember, kRcvdRjt, kRejected, &M::TakeReject), StayIn({kUnfriendSent}, kRcvdRjt, &M::Nothing),
      FromEach(kMember, kRcvdLocalRjt, kRejected, &M::SendReject),
      StayIn({kUnfriendSent}, kRcvdLocalRjt, &M::SendRemove),
      FromEach(kMember, kInitRemoveFriend, kUnfriendSent, &M::StartRemove),
      FromEach(kMember, kRcvdRemoveFriend, kDefault, &M::GetOut),
      FromEach({kUnfriendSent}, kRcvdRemoveFriend, kDefault, &M::GetOut),
      StayIn(kMember, kNewName, &M::Renamed), StayIn({kUnfriendSent}, kNewName, &M::Nothing));

  static constexpr auto kTable = MakeTable(Join(kWay, kAgain, kLate, kCut, kAny));
  static_assert(AllReachable(kTable, kDefault));
};

}  // namespace kfs::meta

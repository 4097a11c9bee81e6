#include "metaserver/cluster/friend.h"

namespace kfs::meta {

std::string_view NameOf(FriendState state) {
  switch (state) {
    case FriendState::kDefault:
      return "Default";
    case FriendState::kProbeRcvd:
      return "Probe received";
    case FriendState::kReqSent:
      return "Friend request sent";
    case FriendState::kReqRcvd:
      return "Friend request received";
    case FriendState::kConnectedRcvd:
      return "Connected and received";
    case FriendState::kReqSentRcvd:
      return "Friend request sent and received";
    case FriendState::kReqAccepted:
      return "Friend request accepted";
    case FriendState::kConnectedAccepted:
      return "Connected and accepted";
    case FriendState::kBefriended:
      return "Befriended";
    case FriendState::kRejected:
      return "Rejected";
    case FriendState::kUnfriendSent:
      return "Unfriend sent";
  }
  return "?";
}

std::string_view WordsFor(FriendState state) {
  switch (state) {
    case FriendState::kDefault:
      return "Establishing Connection";
    case FriendState::kProbeRcvd:
      return "Probe Received from Peer";
    case FriendState::kReqSent:
      return "Probe Sent to Peer";
    case FriendState::kReqRcvd:
      return "Request Received from Peer";
    case FriendState::kConnectedRcvd:
      return "Connected to Peer";
    case FriendState::kReqSentRcvd:
      return "Sent and Received peer request";
    case FriendState::kReqAccepted:
      return "Accepted peer request";
    case FriendState::kConnectedAccepted:
      return "Peer is connected and Accepted";
    case FriendState::kBefriended:
      return "Peer in Cluster";
    case FriendState::kRejected:
      return "Peer Rejected";
    case FriendState::kUnfriendSent:
      return "Peer detach in progress";
  }
  return "?";
}

std::string_view NameOf(FriendEvent event) {
  switch (event) {
    case FriendEvent::kProbe:
      return "PROBE";
    case FriendEvent::kInitFriendReq:
      return "INIT_FRIEND_REQ";
    case FriendEvent::kRcvdAcc:
      return "RCVD_ACC";
    case FriendEvent::kRcvdLocalAcc:
      return "RCVD_LOCAL_ACC";
    case FriendEvent::kRcvdRjt:
      return "RCVD_RJT";
    case FriendEvent::kRcvdLocalRjt:
      return "RCVD_LOCAL_RJT";
    case FriendEvent::kRcvdFriendReq:
      return "RCVD_FRIEND_REQ";
    case FriendEvent::kInitRemoveFriend:
      return "INIT_REMOVE_FRIEND";
    case FriendEvent::kRcvdRemoveFriend:
      return "RCVD_REMOVE_FRIEND";
    case FriendEvent::kRemoveFriend:
      return "REMOVE_FRIEND";
    case FriendEvent::kConnected:
      return "CONNECTED";
    case FriendEvent::kDisconnected:
      return "DISCONNECTED";
    case FriendEvent::kNewName:
      return "NEW_NAME";
    case FriendEvent::kTimeout:
      return "TIMEOUT";
  }
  return "?";
}

}  // namespace kfs::meta

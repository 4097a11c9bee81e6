#include "metaserver/members/peer_service.h"

namespace kfs::meta {

void RegisterPeerOps(Server& server, Member& member, PeerOps& peers) {
  server.Handle<rpc::PeerSend>([&member](IncomingCallPtr call, const pb::PeerSendRequest& request) {
    member.OnMessage(request.message(), call->connection());
    call->Reply(pb::Empty());
  });
  server.Handle<rpc::PeerAsk>([&peers](IncomingCallPtr call, const pb::PeerAskRequest& request) {
    peers.Reply(request, call->connection()->hello.id(),
                [call](const pb::PeerAskReply& reply) { call->Reply(reply); });
  });
  server.Handle<rpc::PeerAdopt>([&peers](IncomingCallPtr call, const pb::PeerAdoptRequest& request) {
    peers.Adopt(request, [call](const Status& s) {
      if (!s.ok()) return call->Fail(s);
      call->Reply(pb::Empty());
    });
  });
}

}  // namespace kfs::meta

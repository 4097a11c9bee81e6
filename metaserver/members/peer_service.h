// The ops of other metaservers: messages of the configuration's state machines, questions, joining.
#pragma once

#include "metaserver/members/peer_ops.h"
#include "rpc/server.h"

namespace kfs::meta {

// Everything given outlives the server's connections.
void RegisterPeerOps(Server& server, Member& member, PeerOps& peers);

}  // namespace kfs::meta

// The ops of the command-line tool on the configuration, the peers and the transactions, and those of other
// metaservers.
#pragma once

#include "metaserver/chunks/chunkservers.h"
#include "metaserver/members/peer_ops.h"
#include "rpc/server.h"

namespace kfs::meta {

// Everything given outlives the server's connections.
void RegisterMemberOps(Server& server, Member& member, PeerOps& peers, const Chunkservers& chunkservers);

}  // namespace kfs::meta

// The ops of the command-line tool on the configuration, the peers and the transactions, and those of other
// metaservers.
#pragma once

#include <functional>

#include "metaserver/chunks/chunkservers.h"
#include "metaserver/members/peer_ops.h"
#include "rpc/server.h"

namespace kfs::meta {

// Everything given outlives the server's connections.
// `settled` runs the answer to a change once what it has brought about here is done; empty: at once.
void RegisterMemberOps(Server& server, Member& member, PeerOps& peers, const Chunkservers& chunkservers,
                       std::function<void(std::function<void()>)> settled = {});

}  // namespace kfs::meta

// The ops on the configuration, for the command-line tool: changing and showing it, peers, transactions; and
// LocateVolume, for mounts.
#pragma once

#include <functional>

#include "metaserver/chunks/chunkservers.h"
#include "metaserver/members/peer_ops.h"
#include "rpc/server.h"

namespace kfs::meta {

// Everything given outlives the server's connections.
// `settled` runs the answer to a change once what it has brought about here is done; empty: at once.
void RegisterConfigurationOps(Server& server, Member& member, PeerOps& peers,
                              const Chunkservers& chunkservers,
                              std::function<void(std::function<void()>)> settled = {});

}  // namespace kfs::meta

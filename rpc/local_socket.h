// Unix sockets beside TCP: a server has one in a directory of this machine, named after the address that it
// listens on, and who connects to that address looks there first. Links by it need no TLS: the kernel says
// who made the socket.
//
//   DIR/NETNS-ADDRESS:PORT      NETNS: the network namespace's number; the same address in another one is
//                               another server
//
// The directory belongs to who runs the servers, and only they may write to it; a socket in it counts if it
// is the owner's. Its uid proves no role: greeting and rights are as on any link.
#pragma once

#include <string>

#include "rpc/address.h"

namespace kfs {

constexpr char kSocketDir[] = "/run/kfs";

// Listens beside the TCP socket bound to `tcp`; makes the directory if it may. The path is the error's words
// where it cannot be; the server does without. `*path` is to be removed at the end.
Result<int> ListenLocally(const std::string& dir, const SocketAddress& tcp, std::string* path);

// A connected, non-blocking socket to who listens on `tcp` in this network namespace, or -1: there is none,
// or it cannot be trusted (then *why says so).
int ConnectLocally(const std::string& dir, const SocketAddress& tcp, std::string* why);

}  // namespace kfs

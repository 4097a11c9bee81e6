// The connections that have not yet proved who they are. They are cheap to make, for anyone who reaches the
// port, so they get little: few of them in all and of one machine (or, on a Unix socket, one user), and the
// one that has waited longest goes when another comes. Who does greet does so within milliseconds, and long
// before its turn to go. Loop's thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "rpc/connection.h"
#include "rpc/keyring.h"

namespace kfs {

// Whom a connected socket counts against: "10.0.0.7", the /64 of an IPv6 address, "uid 1000".
std::string OriginOf(int fd);

class UnknownPeers {
 public:
  static constexpr size_t kMax = 2048;         // in all
  static constexpr size_t kOfOriginMax = 512;  // of one origin

  // Those that have to go to make room, to be closed by the caller (who then calls Remove).
  std::vector<ConnectionPtr> Add(const ConnectionPtr& connection, const std::string& origin, MonoTime now);
  // Greeted, or closed. Does nothing for one that is not here.
  void Remove(const Connection* connection);
  std::vector<ConnectionPtr> WaitingSince(MonoTime before) const;

  // From the server's answer to Hello on; empty before.
  struct Greeting {
    std::string nonce;  // the server's
    FoundKey key;       // that the peer has to prove
  };
  // Null: not here.
  Greeting* GreetingOf(const Connection* connection);
  size_t size() const { return peers_.size(); }

 private:
  struct Peer {
    ConnectionPtr connection;
    std::string origin;
    Greeting greeting;
    MonoTime since;
  };
  std::map<uint64_t, Peer> peers_;  // in the order of their coming
  std::map<const Connection*, uint64_t> numbers_;
  std::map<std::string, std::set<uint64_t>> by_origin_;
  uint64_t next_ = 1;
};

}  // namespace kfs

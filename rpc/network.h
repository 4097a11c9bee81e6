// How a program reaches others: sockets (rpc/socket_network.cc), or what a simulation puts in their place.
// Streams are plain as they come from here; TLS goes over them (rpc/tls_stream.h). Loop's thread, where
// nothing else is said.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "rpc/byte_stream.h"

namespace kfs {

class Network {
 public:
  virtual ~Network() = default;

  // A connection on its way. Destroyed: its function will not be called.
  class Dialing {
   public:
    virtual ~Dialing() = default;
  };
  struct DialOptions {
    std::string whom;         // for words: "metaserver", "chunkserver 7"
    std::string socket_dir;   // where the other end may have a Unix socket; empty: not looked at
    bool hard_close = false;  // a socket ends at once, and keeps no port from being used again
  };
  using DialedFn = std::function<void(Result<std::unique_ptr<ByteStream>>)>;
  // To "host:port" or "unix:/path"; `done` runs once, never from within. Whoever dials bounds the time.
  virtual std::unique_ptr<Dialing> Dial(EventLoop& loop, const std::string& address,
                                        const DialOptions& options, DialedFn done) = 0;

  // Takes connections until it is destroyed.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual std::string address() const = 0;  // with the port taken
  };
  // `origin`: whom it counts against, a machine or a user of this one (rpc/unknown_peers.h).
  using AcceptFn = std::function<void(std::unique_ptr<ByteStream>, const std::string& origin)>;
  // "1.2.3.4:port" (0 takes a free one) or "unix:/path"; a Unix socket beside it in `socket_dir`, where that
  // can be. Any thread before the loop runs. Errors name the address.
  virtual Result<std::unique_ptr<Listener>> Listen(EventLoop& loop, const std::string& address,
                                                   const std::string& socket_dir, AcceptFn accept) = 0;
};

// This machine's sockets. For loops of this machine (EventLoop's constructor without arguments).
std::unique_ptr<Network> SocketNetwork();

}  // namespace kfs

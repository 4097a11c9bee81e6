// What carries a connection's bytes: a socket as it is (or what a simulation has in its place), or TLS over
// such a stream (rpc/tls_stream.h). One reader, one writer, on the loop's thread; nothing here blocks.
//
// A stream is driven by its reader: a TLS handshake, too, goes on only while a Read is under way.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <string>

#include "common/status.h"
#include "rpc/event_loop.h"

namespace kfs {

class ByteStream {
 public:
  class User {
   public:
    virtual ~User() = default;
    // Of the Read under way. OK and n == 0: the other end has closed in order.
    virtual void OnRead(const Status& status, size_t n) = 0;
    // Of the WaitWritable under way.
    virtual void OnWritable(const Status& status) = 0;
  };

  // Who the other end has been proven to be by the stream itself, in the words of the greeting.
  struct Peer {
    int role = 0;
    std::string id, key_id;
  };

  virtual ~ByteStream() = default;

  // Calls user.OnRead once, never from within Read. Buffers and user stay valid until then: `keep` holds
  // them. REQUIRES: no Read is under way.
  virtual void Read(const iovec (&into)[2], User& user, std::shared_ptr<void> keep) = 0;
  // Takes what it can, at most what is given: the number of bytes, 0 when it has no room now, or -errno.
  virtual ssize_t Write(const iovec* from, int count) = 0;
  // Whether bytes that it has taken have not left yet. Write (of nothing, too) sends more of them.
  virtual bool unsent() const { return false; }
  // Calls user.OnWritable once, when Write may take or send more. REQUIRES: none is under way.
  virtual void WaitWritable(User& user, std::shared_ptr<void> keep) = 0;
  // At once. What is under way ends without a call.
  virtual void Close() = 0;

  virtual const std::string& peer_address() const = 0;
  virtual const char* kind() const = 0;  // "tls", "unix", "plain"
  // Known to both ends of this connection and to nobody else; empty: there is no such thing.
  virtual std::string binding() const { return {}; }
  virtual const Peer* proven() const { return nullptr; }  // null: nobody
};

// A connected, non-blocking socket, which becomes the stream's.
std::unique_ptr<ByteStream> SocketStream(EventLoop& loop, int fd);

}  // namespace kfs

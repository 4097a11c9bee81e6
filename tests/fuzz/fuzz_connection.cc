// A stream of bytes from a peer, as the event loop reads it: first byte 1 = the peer has greeted, second the
// size of the pieces in which it arrives. A checksum field of FFFFFFFF in a frame is replaced by the right
// one, so that the fuzzer gets past it. Whatever comes, the connection ends in order and every request gets
// its answer.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "common/crc32c.h"
#include "proto/op_types.h"
#include "rpc/connection.h"
#include "tests/fuzz/fuzz.h"

namespace {

void MendChecksums(std::string& stream) {
  for (size_t at = 0; at + kfs::kFrameHeaderSize <= stream.size();) {
    kfs::Result<kfs::FrameHeader> header = kfs::DecodeHeader(stream.data() + at);
    if (!header.ok()) return;
    const size_t body = at + kfs::kFrameHeaderSize;
    if (body + header->body_size > stream.size()) return;
    if (header->body_crc == 0xffffffff) {
      header->body_crc = kfs::Crc32c(stream.data() + body, header->body_size);
      kfs::EncodeHeader(*header, stream.data() + at);
    }
    at = body + header->body_size + header->payload_size;
  }
}

}  // namespace

// Protobuf's complaints about each bad field would drown everything else.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  kfs::fuzz::Input input(data, size);
  const bool greeted = input.Byte() == 1;
  const size_t piece = input.Byte() + size_t{1};
  std::string stream(input.Rest().substr(0, 32768));
  MendChecksums(stream);

  int fds[2];
  FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  {
    kfs::EventLoop loop;
    size_t requests = 0, answers = 0;
    bool closed = false;
    kfs::ConnectionPtr connection;
    loop.Post([&] {
      connection = kfs::Connection::Adopt(loop, SocketStream(loop, fds[0]),
                                          {.on_request =
                                               [&](kfs::IncomingCallPtr call) {
                                                 ++requests;
                                                 kfs::pb::LookupRequest request;
                                                 if (call->Parse(&request))
                                                   call->Reply(kfs::pb::EntryReply());
                                               },
                                           .on_close =
                                               [&](kfs::Status) {
                                                 closed = true;
                                                 loop.Stop();
                                               }});
      connection->greeted = greeted;
      for (int i = 0; i < 3; ++i) {
        connection->Call(kfs::Op::kPing, kfs::pb::PingRequest(), {}, [&](kfs::Answer) { ++answers; });
      }
    });
    size_t sent = 0;
    std::function<void()> feed = [&] {
      if (closed) return;
      char drain[4096];
      while (read(fds[1], drain, sizeof(drain)) > 0) {
      }
      const size_t n = std::min(piece == 256 ? stream.size() : piece, stream.size() - sent);
      const ssize_t wrote = n == 0 ? 0 : send(fds[1], stream.data() + sent, n, MSG_NOSIGNAL);
      if (wrote > 0) sent += static_cast<size_t>(wrote);
      if (sent == stream.size()) {
        shutdown(fds[1], SHUT_WR);
        return;
      }
      loop.Post(feed);
    };
    loop.Post(feed);
    loop.Run();
    FUZZ_CHECK(closed && connection->closed());
    FUZZ_CHECK(answers == 3);
    FUZZ_CHECK(connection->requests_in_service() == 0);
    connection.reset();
  }
  close(fds[1]);
  return 0;
}

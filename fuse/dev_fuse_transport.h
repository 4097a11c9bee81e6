// The classic transport: the descriptor of /dev/fuse, watched by the loop that also runs the client, so that
// a request is taken, sent and answered without another thread.
#pragma once

#include <memory>
#include <vector>

#include "common/lifetime.h"
#include "fuse/transport.h"
#include "rpc/event_loop.h"

namespace kfs::fuse {

// What an error of reading /dev/fuse means, for a person. (EINTR, ENOENT and EAGAIN mean nothing.)
const char* ExplainReadError(int err);

class DevFuseTransport : public Transport {
 public:
  // The descriptor stays the caller's; it is made non-blocking. Sink and loop outlive the transport.
  DevFuseTransport(EventLoop& loop, int fd, RequestSink& sink);
  ~DevFuseTransport() override;

  void Start() override;
  void Poke() override;
  ssize_t Reply(const iovec* iov, int count) override;

 private:
  enum class Took { kOne, kNone, kPause, kEnd };

  void ReadBatch();
  Took ReadOne();
  void Dispatch(size_t size);

  EventLoop& loop_;
  const int fd_;
  RequestSink& sink_;
  std::unique_ptr<EventLoop::Watch> watch_;
  bool poked_ = false;
  bool ended_ = false;
  int no_memory_ = 0;  // requests lost for want of memory since the last that was read
  EventLoop::Timer pause_;
  // A FUSE_WRITE's header and arguments fill `head_` exactly, so that its data lands page-aligned in
  // `payload_` and can be given away without a copy. Other requests are put together again in `whole_`.
  alignas(fuse_in_header) char head_[sizeof(fuse_in_header) + sizeof(fuse_write_in)];
  Buffer payload_;
  std::vector<char> whole_;
  Lifetime lifetime_;
};

}  // namespace kfs::fuse

// The classic transport: the descriptor of /dev/fuse, watched by the loop that also runs the client, so that
// a request is taken, sent and answered without another thread.
#pragma once

#include <memory>
#include <vector>

#include "fuse/transport.h"
#include "rpc/event_loop.h"

namespace kfs::fuse {

class DevFuseTransport : public Transport {
 public:
  // The descriptor stays the caller's; it is made non-blocking. Sink and loop outlive the transport.
  DevFuseTransport(EventLoop& loop, int fd, RequestSink& sink);
  ~DevFuseTransport() override;

  void Start() override;
  void Poke() override;
  ssize_t Reply(const iovec* iov, int count) override;

 private:
  enum class Took { kOne, kNone, kEnd };

  void ReadBatch();
  Took ReadOne();
  void Dispatch(size_t size);

  EventLoop& loop_;
  const int fd_;
  RequestSink& sink_;
  std::unique_ptr<EventLoop::Watch> watch_;
  bool poked_ = false;
  bool ended_ = false;
  // A FUSE_WRITE's header and arguments fill `head_` exactly, so that its data lands page-aligned in
  // `payload_` and can be given away without a copy. Other requests are put together again in `whole_`.
  alignas(fuse_in_header) char head_[sizeof(fuse_in_header) + sizeof(fuse_write_in)];
  Buffer payload_;
  std::vector<char> whole_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kfs::fuse

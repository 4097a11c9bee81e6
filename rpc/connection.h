// One connection that speaks frames over a byte stream. Either end may send requests; answers are matched by
// sequence number. Owned by shared_ptr; lives on one EventLoop and is used on that loop's thread only.
//
// Writes queued during a tick leave together at its end in one system call. When more than kOpsInFlightMax
// requests are being served, reading pauses, so that a sender cannot fill the memory.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "common/slice.h"
#include "common/status.h"
#include "proto/common.pb.h"
#include "proto/ops.h"
#include "rpc/byte_stream.h"
#include "rpc/event_loop.h"
#include "rpc/frame.h"
#include "rpc/incoming_call.h"

namespace kfs {

// The answer to a request of ours: status() tells errors of the peer and of the connection alike.
struct Answer {
  Answer() = default;
  explicit Answer(Status failed, uint64_t detail_of_it = 0)
      : status(std::move(failed)), detail(detail_of_it) {}
  Answer(std::string ok_body, Buffer ok_payload) : body(std::move(ok_body)), payload(std::move(ok_payload)) {}

  Status status;
  uint64_t detail = 0;  // ErrorReply.detail
  std::string body;
  Buffer payload;
};
using AnswerFn = std::function<void(Answer)>;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Handlers {
    std::function<void(IncomingCallPtr)> on_request;  // every request frame
    std::function<void(Status why)>
        on_close;  // once; pending requests have been answered with kConnectionLost
  };

  static ConnectionPtr Adopt(EventLoop& loop, std::unique_ptr<ByteStream> stream, Handlers handlers);
  ~Connection();

  // Sends a request; `done` runs on the loop's thread exactly once: answer, or EIO/kConnectionLost.
  // Returns the sequence number.
  uint64_t Call(Op op, const google::protobuf::MessageLite& request, Slices payload, AnswerFn done);
  // The same with a frame made by EncodeFrame; its sequence number is set here, and its trace, if the peer
  // takes one.
  uint64_t CallEncoded(std::shared_ptr<std::string> frame, Slices payload, AnswerFn done, Trace trace = {});
  // The caller no longer wants the answer: `done` will not run. A late answer is dropped.
  void Forget(uint64_t seq);

  // Closes now; what is queued is lost.
  void Close(Status why);
  // Closes once everything queued has been sent.
  void CloseAfterFlush(Status why);
  bool closed() const;

  EventLoop& loop();
  const std::string& peer_address() const;  // "127.0.0.1:7400"
  const ByteStream& stream() const;
  MonoTime last_received() const;
  size_t calls_pending() const;
  size_t requests_in_service() const;
  size_t bytes_queued() const;

  // Set by the Hello handshake: what the other end has said of itself; where we have made the connection, the
  // role of the server that it leads to and nothing else.
  pb::HelloRequest hello;
  bool greeted = false;
  uint32_t features = 0;               // that both ends have said (kFeatures)
  std::shared_ptr<void> context;       // the server's state of this connection (e.g. its session)
  std::shared_ptr<const void> rights;  // of the key it greeted with (rpc/keyring.h)

 private:
  friend class IncomingCall;
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kfs

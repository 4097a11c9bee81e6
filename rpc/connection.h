// One connection that speaks frames over a byte stream. Either end may send requests; answers are matched by
// sequence number. Owned by shared_ptr; lives on one EventLoop and is used on that loop's thread only.
//
// Writes queued during a tick leave together at its end in one system call. When more than kOpsInFlightMax
// requests are being served, reading pauses, so that a sender cannot fill the memory.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/slice.h"
#include "common/status.h"
#include "proto/op_table.h"
#include "rpc/byte_stream.h"
#include "rpc/event_loop.h"
#include "rpc/frame.h"

namespace kfs {

// What arrived: body still serialized.
struct Message {
  FrameHeader header;
  std::string body;
  Buffer payload;
};

class Connection;
using ConnectionPtr = std::shared_ptr<Connection>;
class OpCounts;
struct OpStats;

// A request that arrived and waits for its one answer. Dropped without an answer it answers EAGAIN/kTryAgain
// by itself. May outlive the connection: answers then go nowhere. Loop's thread only.
class IncomingCall {
 public:
  IncomingCall(ConnectionPtr connection, Message message);
  ~IncomingCall();
  IncomingCall(const IncomingCall&) = delete;
  IncomingCall& operator=(const IncomingCall&) = delete;

  Op op() const { return static_cast<Op>(message_.header.op); }
  Trace trace() const { return {message_.header.trace, (message_.header.flags & kFlagLogged) != 0}; }
  MonoTime arrived() const { return arrived_; }  // the beginning of that tick
  const std::string& body() const { return message_.body; }
  Buffer& payload() { return message_.payload; }
  const ConnectionPtr& connection() const { return connection_; }

  // False (and answered with EINVAL/kMalformed) when the body is not a valid `request`.
  bool Parse(google::protobuf::MessageLite* request);

  // Exactly one of these, once.
  void Reply(const google::protobuf::MessageLite& reply, Slices payload = {});
  void ReplySerialized(std::string_view body);  // an answer stored earlier
  void Fail(const Status& status, uint64_t detail = 0);
  bool answered() const { return answered_; }
  // The answer waits for others (a lock, a chunkserver): it no longer counts against kOpsInFlightMax, or the
  // very request that would end the wait could not be read.
  void Parked();
  // Counts the answer and the time since the call arrived.
  void CountIn(std::shared_ptr<OpCounts> counts);

 private:
  void Answered(int err);
  void SendAnswer(std::shared_ptr<std::string> frame, Slices payload);

  ConnectionPtr connection_;
  Message message_;
  bool answered_ = false;
  bool parked_ = false;
  const MonoTime arrived_;
  std::shared_ptr<OpCounts> counts_;
  OpStats* stats_ = nullptr;  // in `counts_`
};
using IncomingCallPtr = std::shared_ptr<IncomingCall>;

// The answer to a request of ours: status() tells errors of the peer and of the connection alike.
struct Answer {
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

  // Set by the Hello handshake (rpc/server.h) and free for the server's use.
  pb::HelloRequest hello;
  bool greeted = false;
  bool traces = false;                 // both ends have said kFeatureTrace
  std::shared_ptr<void> context;       // the server's state of this connection (e.g. its session)
  std::shared_ptr<const void> rights;  // of the key it greeted with (rpc/keyring.h)

 private:
  friend class IncomingCall;
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kfs

// A request of the other end of a connection, from its arrival to its one answer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/buffer.h"
#include "common/slice.h"
#include "common/status.h"
#include "proto/ops.h"
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

}  // namespace kfs

#include "rpc/incoming_call.h"

#include <cstring>

#include "common/crc32c.h"
#include "common/limits.h"
#include "common/log.h"
#include "rpc/connection_impl.h"
#include "rpc/op_counts.h"

namespace kfs {
namespace {

constexpr size_t kErrorWordsMax = kFrameBodyMax / 2;

}  // namespace

IncomingCall::IncomingCall(ConnectionPtr connection, Message message)
    : connection_(std::move(connection)), message_(std::move(message)), arrived_(connection_->loop().Now()) {}

IncomingCall::~IncomingCall() {
  // A server that stops drops what it has not begun: the caller shall ask again, here or elsewhere.
  if (!answered_)
    Fail(Status(EAGAIN, Code::kTryAgain, std::string(OpName(op())) + " was dropped by the server"));
}

void IncomingCall::Answered(int err) {
  answered_ = true;
  if (!parked_) connection_->impl_->InService(message_, false);
  if (stats_ != nullptr) counts_->Answered(*stats_, arrived_, err == 0);
  if (!trace().logged) return;
  const Duration took = connection_->loop().clock().MonoNow() - arrived_;
  KFS_LOG(info, "op.trace trace={:08x} op={} peer={} us={} err={}", trace().id, OpName(op()),
          connection_->impl_->peer, std::chrono::duration_cast<std::chrono::microseconds>(took).count(), err);
}

void IncomingCall::CountIn(std::shared_ptr<OpCounts> counts) {
  stats_ = counts->Of(op());
  counts_ = std::move(counts);
}

void IncomingCall::Parked() {
  if (parked_ || answered_) return;
  parked_ = true;
  connection_->impl_->InService(message_, false);
  connection_->impl_->ResumeReading();
}

bool IncomingCall::Parse(google::protobuf::MessageLite* request) {
  if (request->ParseFromString(message_.body)) return true;
  KFS_LOG(warn, "connection.bad_request peer={} op={} trace={:08x} bytes={}", connection_->impl_->peer,
          OpName(op()), trace().id, message_.body.size());
  if (stats_ != nullptr) stats_->malformed.Add();
  Fail(Status(EINVAL, Code::kMalformed, std::string(OpName(op())) + ": the request cannot be understood"));
  return false;
}

void IncomingCall::Reply(const google::protobuf::MessageLite& reply, Slices payload) {
  if (answered_) return;
  Result<std::string> frame = EncodeFrame(op(), kFlagReply, message_.header.seq, reply, payload.size());
  if (!frame.ok())
    return Fail(Status(frame.status().err(), "the answer would be " + frame.status().message()));
  Answered(0);
  SendAnswer(std::make_shared<std::string>(std::move(*frame)), std::move(payload));
}

void IncomingCall::ReplySerialized(std::string_view body) {
  if (answered_) return;
  Answered(0);
  auto frame = std::make_shared<std::string>(kFrameHeaderSize + body.size(), '\0');
  std::memcpy(frame->data() + kFrameHeaderSize, body.data(), body.size());
  EncodeHeader({.op = message_.header.op,
                .flags = kFlagReply,
                .seq = message_.header.seq,
                .body_size = static_cast<uint32_t>(body.size()),
                .payload_size = 0,
                .body_crc = Crc32c(body.data(), body.size())},
               frame->data());
  SendAnswer(std::move(frame), {});
}

void IncomingCall::Fail(const Status& status, uint64_t detail) {
  if (answered_) return;
  Answered(status.err());
  pb::ErrorReply error;
  error.set_err(status.err());
  error.set_code(static_cast<uint32_t>(status.code()));
  // What was asked may be in the words: they are no larger than a frame for that.
  error.set_message(status.message().size() <= kErrorWordsMax ? status.message() : "(too many words)");
  error.set_detail(detail);
  SendAnswer(std::make_shared<std::string>(
                 *EncodeFrame(op(), kFlagReply | kFlagError, message_.header.seq, error, 0)),
             {});
}

// Under the trace that it came with, which its peer so has agreed to.
void IncomingCall::SendAnswer(std::shared_ptr<std::string> frame, Slices payload) {
  SetFrameTrace(*frame, {.id = trace().id});
  auto& c = *connection_->impl_;
  c.Send({std::move(frame), std::move(payload), true});
  c.ResumeReading();
}

}  // namespace kfs

#include "rpc/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "common/crc32c.h"
#include "common/limits.h"
#include "common/log.h"
#include "rpc/op_counts.h"
#include "rpc/request_cost.h"

namespace kfs {
namespace {

// Grows to the first where much comes at once; an idle or unknown peer costs the second.
constexpr size_t kInputBufferMax = 64u << 10;
constexpr size_t kInputBufferMin = 4u << 10;
// What an unknown peer may make us hold before it has proved who it is.
constexpr uint32_t kUngreetedBodyMax = 4096;
// What is owed to the peer: answers that it does not fetch, and those that may still come of the requests in
// service, however they are served. Reading pauses above this.
constexpr size_t kOutputBytesMax = 16u << 20;
// Bodies and payloads of the requests in service: so does it above this.
constexpr size_t kInServiceBytesMax = 32u << 20;
constexpr int kIovMax = 64;
// Written at once, one read's answer whole: others on the loop are served in between. (A socket may take
// several times that, and encrypting it takes milliseconds.)
constexpr size_t kFlushMax = kIoSizeMax + (64u << 10);

}  // namespace

struct Connection::Impl : ByteStream::User {
  Impl(EventLoop& l, std::unique_ptr<ByteStream> s, Handlers h)
      : loop(l), stream(std::move(s)), handlers(std::move(h)), peer(stream->peer_address()) {}

  // One frame on its way out.
  struct Outgoing {
    std::shared_ptr<std::string> frame;
    Slices payload;
    bool is_answer = false;
    size_t size() const { return frame->size() + payload.size(); }
  };

  void StartRead();
  void OnRead(const Status& status, size_t n) override;
  void OnWritable(const Status& status) override;
  bool ParseInput();
  void Deliver(Message message);
  void Send(Outgoing out);
  void ScheduleFlush();
  void Flush();
  void FlushLater();
  void Close(Status why);
  bool MayRead() const {
    return in_service < kOpsInFlightMax && queued_answers + answer_bytes < kOutputBytesMax &&
           request_bytes < kInServiceBytesMax;
  }
  // A request begins to be served, or no longer counts as served.
  void InService(const Message& message, bool begins) {
    const size_t asked = message.header.body_size + message.header.payload_size;
    const size_t owed = AnswerMax(message.header, message.body);
    in_service += begins ? 1 : size_t(-1);
    request_bytes += begins ? asked : -asked;
    answer_bytes += begins ? owed : -owed;
  }
  void ResumeReading() {
    if (paused && MayRead() && !closed) {
      paused = false;
      // Frames may already lie in the buffer. Not from within their own delivery.
      loop.Post([weak = self->weak_from_this()] {
        if (auto c = weak.lock(); c != nullptr && !c->impl_->closed && !c->impl_->reading) {
          if (c->impl_->ParseInput()) c->impl_->StartRead();
        }
      });
    }
  }

  EventLoop& loop;
  const std::unique_ptr<ByteStream> stream;
  Handlers handlers;
  const std::string peer;
  Connection* self = nullptr;

  // Input: [in_begin, in_end) of `input` is unparsed; a frame whose payload is larger is read straight into
  // `partial`.
  size_t input_size = kInputBufferMin;
  std::unique_ptr<char[]> input = std::make_unique<char[]>(input_size);
  size_t in_begin = 0, in_end = 0;
  bool have_header = false, have_body = false;
  Message partial;
  size_t partial_got = 0;  // of body or payload
  size_t direct = 0;       // of the read under way: bytes that go straight into `partial`
  bool reading = false, paused = false;
  bool input_filled = false;  // by the last read: there may be more

  std::deque<Outgoing> output;
  size_t output_offset = 0;  // bytes of output.front() already sent
  size_t queued_bytes = 0;
  size_t queued_answers = 0;  // bytes of those frames that are answers. What we ask does not keep us from
                              // reading: the peer may wait for us to fetch its answers before it reads more.
  bool flush_scheduled = false, waiting_writable = false, close_after_flush = false;
  Status close_reason;

  std::unordered_map<uint64_t, AnswerFn> pending;
  uint64_t next_seq = 1;
  size_t in_service = 0, request_bytes = 0, answer_bytes = 0;
  bool closed = false;
  MonoTime last_received = loop.Now();
};

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) { impl_->self = this; }
Connection::~Connection() = default;

ConnectionPtr Connection::Adopt(EventLoop& loop, std::unique_ptr<ByteStream> stream, Handlers handlers) {
  auto c =
      ConnectionPtr(new Connection(std::make_unique<Impl>(loop, std::move(stream), std::move(handlers))));
  c->impl_->StartRead();
  return c;
}

void Connection::Impl::StartRead() {
  if (closed || reading) return;
  if (!MayRead()) {
    paused = true;
    return;
  }
  if (in_begin == in_end) in_begin = in_end = 0;
  if (in_begin == 0 && in_end == 0 && input_filled && self->greeted && input_size < kInputBufferMax) {
    input_size *= 2;
    input = std::make_unique<char[]>(input_size);
  }
  input_filled = false;
  if (in_end == input_size) {
    std::memmove(input.get(), input.get() + in_begin, in_end - in_begin);
    in_end -= in_begin;
    in_begin = 0;
  }
  iovec into[2] = {};
  direct = 0;
  if (have_body && in_begin == in_end) {
    direct = partial.payload.size() - partial_got;
    into[0] = {partial.payload.data() + partial_got, direct};
  } else if (have_header && !have_body && in_begin == in_end) {
    direct = partial.body.size() - partial_got;
    into[0] = {partial.body.data() + partial_got, direct};
  }
  into[1] = {input.get() + in_end, input_size - in_end};
  reading = true;
  stream->Read(into, *this, self->shared_from_this());
}

void Connection::Impl::OnRead(const Status& status, size_t n) {
  reading = false;
  if (closed) return;
  if (!status.ok() || n == 0) {
    const Code code = status.code() != Code::kNone ? status.code() : Code::kConnectionLost;
    return Close(Status(ECONNRESET, code,
                        status.ok() ? peer + " closed the connection" : peer + ": " + status.message()));
  }
  const size_t into_partial = std::min(n, direct);
  partial_got += into_partial;
  in_end += n - into_partial;
  input_filled = in_end == input_size;
  last_received = loop.Now();
  if (ParseInput()) StartRead();
}

// Delivers the complete frames that lie in the buffer. False when the connection was closed or reading is
// paused.
bool Connection::Impl::ParseInput() {
  auto keep = self->shared_from_this();
  while (!closed) {
    if (!MayRead()) {
      paused = true;
      return false;
    }
    if (!have_header) {
      if (in_end - in_begin < kFrameHeaderSize) {
        if (input_size - in_begin < kFrameHeaderSize) {
          std::memmove(input.get(), input.get() + in_begin, in_end - in_begin);
          in_end -= in_begin;
          in_begin = 0;
        }
        return true;
      }
      auto header = DecodeHeader(input.get() + in_begin);
      if (header.ok() && !self->greeted &&
          (header->body_size > kUngreetedBodyMax || header->payload_size != 0)) {
        header = Malformed("a large frame before the greeting");
      }
      if (header.ok() && header->trace != 0 && !self->traces)
        header = Malformed("a trace id that was not agreed on");
      if (header.ok() && header->payload_size > PayloadMax(*header)) {
        header = Malformed(fmt::format("a payload of {} bytes with {}", header->payload_size,
                                       OpName(static_cast<Op>(header->op))));
      }
      if (!header.ok()) {
        Close(header.status());
        return false;
      }
      in_begin += kFrameHeaderSize;
      partial.header = *header;
      partial.body.resize(header->body_size);
      have_header = true;
      have_body = false;
      partial_got = 0;
    }
    auto take = [&](char* to, size_t size) {
      size_t n = std::min(size - partial_got, in_end - in_begin);
      if (n != 0) std::memcpy(to + partial_got, input.get() + in_begin, n);
      partial_got += n;
      in_begin += n;
      return partial_got == size;
    };
    if (!have_body) {
      if (!take(partial.body.data(), partial.body.size())) return true;
      if (Crc32c(partial.body.data(), partial.body.size()) != partial.header.body_crc) {
        Close(Malformed("a frame's body does not match its checksum"));
        return false;
      }
      have_body = true;
      partial_got = 0;
      partial.payload = Buffer(partial.header.payload_size);
    }
    if (!take(partial.payload.data(), partial.payload.size())) return true;
    have_header = have_body = false;
    Message message = std::move(partial);
    partial = Message();
    Deliver(std::move(message));
  }
  return false;
}

void Connection::Impl::Deliver(Message message) {
  if ((message.header.flags & kFlagReply) == 0) {
    InService(message, true);
    handlers.on_request(std::make_shared<IncomingCall>(self->shared_from_this(), std::move(message)));
    return;
  }
  auto found = pending.find(message.header.seq);
  if (found == pending.end()) {
    // Late answers to calls that were forgotten are in order; numbers that were never given out are not.
    if (message.header.seq >= next_seq) Close(Malformed("an answer that nobody asked for"));
    return;
  }
  AnswerFn done = std::move(found->second);
  pending.erase(found);
  Answer answer;
  if ((message.header.flags & kFlagError) != 0) {
    pb::ErrorReply error;
    if (!error.ParseFromString(message.body) || error.err() <= 0) {
      Close(Malformed("an error that cannot be understood"));
      answer.status = Malformed("an error that cannot be understood");
    } else {
      answer.status = Status(error.err(), static_cast<Code>(error.code()), error.message());
      answer.detail = error.detail();
    }
  } else {
    answer.body = std::move(message.body);
    answer.payload = std::move(message.payload);
  }
  done(std::move(answer));
}

void Connection::Impl::Send(Outgoing out) {
  if (closed || close_after_flush) return;
  queued_bytes += out.size();
  if (out.is_answer) queued_answers += out.size();
  output.push_back(std::move(out));
  ScheduleFlush();
}

void Connection::Impl::ScheduleFlush() {
  if (flush_scheduled || waiting_writable) return;
  flush_scheduled = true;
  loop.AtTickEnd([weak = self->weak_from_this()] {
    if (auto c = weak.lock()) {
      c->impl_->flush_scheduled = false;
      c->impl_->Flush();
    }
  });
}

void Connection::Impl::FlushLater() {
  flush_scheduled = true;
  loop.Post([weak = self->weak_from_this()] {
    if (auto c = weak.lock()) {
      c->impl_->flush_scheduled = false;
      c->impl_->Flush();
    }
  });
}

void Connection::Impl::Flush() {
  auto keep = self->shared_from_this();
  size_t left = kFlushMax;
  while (!closed && (!output.empty() || stream->unsent())) {
    if (left == 0) return FlushLater();
    iovec iov[kIovMax];
    int count = 0;
    size_t skip = output_offset, room = left;
    auto add = [&](const char* data, size_t size) {
      if (skip >= size) {
        skip -= size;
        return;
      }
      const size_t now = std::min(size - skip, room);
      if (now == 0) return;
      iov[count++] = {const_cast<char*>(data) + skip, now};
      room -= now;
      skip = 0;
    };
    for (auto& out : output) {
      if (count + 1 > kIovMax || room == 0) break;
      add(out.frame->data(), out.frame->size());
      for (size_t i = 0; i < out.payload.count() && count < kIovMax; ++i)
        add(out.payload[i].data(), out.payload[i].size());
      if (count == kIovMax) break;  // the rest of this one comes first the next time
    }
    const ssize_t n = stream->Write(iov, count);
    if (n < 0) {
      Close(Status(ECONNRESET, Code::kConnectionLost, peer + ": " + ErrnoText(static_cast<int>(-n))));
      return;
    }
    if (n == 0 && (count != 0 || stream->unsent())) {
      waiting_writable = true;
      stream->WaitWritable(*this, keep);
      return;
    }
    left -= static_cast<size_t>(n);
    queued_bytes -= static_cast<size_t>(n);
    output_offset += static_cast<size_t>(n);
    while (!output.empty() && output_offset >= output.front().size()) {
      output_offset -= output.front().size();
      if (output.front().is_answer) queued_answers -= output.front().size();
      output.pop_front();
    }
  }
  if (closed) return;
  if (close_after_flush) {
    Close(close_reason);
    return;
  }
  ResumeReading();
}

void Connection::Impl::OnWritable(const Status& status) {
  waiting_writable = false;
  // What went wrong is told by the next read or write.
  if (!closed && status.ok()) Flush();
}

void Connection::Impl::Close(Status why) {
  if (closed) return;
  closed = true;
  auto keep = self->shared_from_this();
  stream->Close();
  output.clear();
  auto calls = std::move(pending);
  pending.clear();
  for (auto& [seq, done] : calls) {
    done(Answer{
        .status = Status(EIO, Code::kConnectionLost, why.message()), .detail = 0, .body = {}, .payload = {}});
  }
  if (handlers.on_close) handlers.on_close(why);
  handlers = {};
}

uint64_t Connection::Call(Op op, const google::protobuf::MessageLite& request, Slices payload,
                          AnswerFn done) {
  return CallEncoded(std::make_shared<std::string>(EncodeFrame(op, 0, 1, request, payload.size())),
                     std::move(payload), std::move(done));
}

uint64_t Connection::CallEncoded(std::shared_ptr<std::string> frame, Slices payload, AnswerFn done,
                                 Trace trace) {
  uint64_t seq = impl_->next_seq++;
  Status s = CheckFrame(*frame);
  if (impl_->closed) s = Status(EIO, Code::kConnectionLost, impl_->peer + ": connection closed");
  if (!s.ok()) {
    // Never from within the caller.
    impl_->loop.Post(
        [done = std::move(done), s] { done(Answer{.status = s, .detail = 0, .body = {}, .payload = {}}); });
    return seq;
  }
  SetFrameSeq(*frame, seq);
  SetFrameTrace(*frame, traces ? trace : Trace{});
  impl_->pending.emplace(seq, std::move(done));
  impl_->Send({std::move(frame), std::move(payload), false});
  return seq;
}

void Connection::Forget(uint64_t seq) { impl_->pending.erase(seq); }
void Connection::Close(Status why) { impl_->Close(std::move(why)); }

void Connection::CloseAfterFlush(Status why) {
  if (impl_->closed || impl_->close_after_flush) return;
  impl_->close_after_flush = true;
  impl_->close_reason = std::move(why);
  impl_->ScheduleFlush();
}

bool Connection::closed() const { return impl_->closed; }
EventLoop& Connection::loop() { return impl_->loop; }
const std::string& Connection::peer_address() const { return impl_->peer; }
const ByteStream& Connection::stream() const { return *impl_->stream; }
MonoTime Connection::last_received() const { return impl_->last_received; }
size_t Connection::calls_pending() const { return impl_->pending.size(); }
size_t Connection::requests_in_service() const { return impl_->in_service; }
size_t Connection::bytes_queued() const { return impl_->queued_bytes + (impl_->stream->unsent() ? 1 : 0); }

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
  auto frame = std::make_shared<std::string>(
      EncodeFrame(op(), kFlagReply, message_.header.seq, reply, payload.size()));
  if (Status s = CheckFrame(*frame); !s.ok())
    return Fail(Status(s.err(), "the answer would be " + s.message()));
  Answered(0);
  SendAnswer(std::move(frame), std::move(payload));
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
  error.set_message(status.message());
  error.set_detail(detail);
  SendAnswer(std::make_shared<std::string>(
                 EncodeFrame(op(), kFlagReply | kFlagError, message_.header.seq, error, 0)),
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

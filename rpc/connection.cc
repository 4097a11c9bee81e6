#include "rpc/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "common/crc32c.h"
#include "common/limits.h"
#include "common/log.h"
#include "rpc/connection_impl.h"
#include "rpc/request_cost.h"

namespace kfs {
namespace {

// An idle or unknown peer costs kInputBufferMin.
constexpr size_t kInputBufferMax = 64u << 10;
// What an unknown peer may make us hold before it has proved who it is.
constexpr uint32_t kUngreetedBodyMax = 4096;
// What is owed to the peer: answers that it does not fetch, and those that may still come of the requests in
// service, however they are served. Reading pauses above this.
constexpr size_t kOutputBytesMax = 16u << 20;
// Bodies and payloads of the requests in service: so does it above this.
constexpr size_t kInServiceBytesMax = 32u << 20;
// Of both, of all connections of one loop: they are thousands. Beyond it each has what it takes to go on, one
// request after the other.
constexpr size_t kKeptOfAllMax = 512u << 20;
constexpr size_t kKeptAlways = 64u << 10;
// Of a body that has been announced only.
constexpr size_t kBodyBegins = 16u << 10;
constexpr int kIovMax = 64;
// Written at once, one read's answer whole: others on the loop are served in between. (A socket may take
// several times that, and encrypting it takes milliseconds.)
constexpr size_t kFlushMax = kIoSizeMax + (64u << 10);

}  // namespace

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) { impl_->self = this; }
Connection::~Connection() = default;

ConnectionPtr Connection::Adopt(EventLoop& loop, std::unique_ptr<ByteStream> stream, Handlers handlers) {
  auto c =
      ConnectionPtr(new Connection(std::make_unique<Impl>(loop, std::move(stream), std::move(handlers))));
  c->impl_->StartRead();
  return c;
}

bool Connection::Impl::MayRead() const {
  return in_service < kOpsInFlightMax && queued_answers + answer_bytes < kOutputBytesMax &&
         request_bytes < kInServiceBytesMax &&
         (kept() < kKeptAlways || kept_of_all->load(std::memory_order_relaxed) < kKeptOfAllMax);
}

void Connection::Impl::CountKept() {
  const size_t now = kept();
  kept_of_all->fetch_add(now - counted, std::memory_order_relaxed);
  counted = now;
}

void Connection::Impl::Release() {
  output.clear();
  queued_answers = 0;
  CountKept();
}

void Connection::Impl::GrowBody() {
  const size_t whole = partial.header.body_size;
  partial.body.resize(std::min(whole, std::max(kBodyBegins, 2 * partial_got)));
}

void Connection::Impl::InService(const Message& message, bool begins) {
  const size_t asked = message.header.body_size + message.header.payload_size;
  const size_t owed = AnswerMax(message.header, message.body);
  in_service += begins ? 1 : size_t(-1);
  request_bytes += begins ? asked : -asked;
  answer_bytes += begins ? owed : -owed;
  CountKept();
}

void Connection::Impl::ResumeReading() {
  if (!paused || !MayRead() || closed) return;
  paused = false;
  // Frames may already lie in the buffer. Not from within their own delivery.
  loop.Post([weak = self->weak_from_this()] {
    if (auto c = weak.lock(); c != nullptr && !c->impl_->closed && !c->impl_->reading) {
      if (c->impl_->ParseInput()) c->impl_->StartRead();
    }
  });
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
      if (header.ok() && header->trace != 0 && (self->features & kFeatureTrace) == 0)
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
      have_header = true;
      have_body = false;
      partial_got = 0;
      GrowBody();
    }
    auto take = [&](char* to, size_t size) {
      size_t n = std::min(size - partial_got, in_end - in_begin);
      if (n != 0) std::memcpy(to + partial_got, input.get() + in_begin, n);
      partial_got += n;
      in_begin += n;
      return partial_got == size;
    };
    if (!have_body) {
      while (take(partial.body.data(), partial.body.size()) && partial_got < partial.header.body_size)
        GrowBody();
      if (partial_got < partial.header.body_size) return true;
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

Answer Connection::Impl::AnswerOf(Message message) {
  if ((message.header.flags & kFlagError) == 0)
    return Answer(std::move(message.body), std::move(message.payload));
  pb::ErrorReply error;
  if (!error.ParseFromString(message.body) || error.err() <= 0) {
    Close(Malformed("an error that cannot be understood"));
    return Answer(Malformed("an error that cannot be understood"));
  }
  return Answer(Status(error.err(), static_cast<Code>(error.code()), error.message()), error.detail());
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
  done(AnswerOf(std::move(message)));
}

void Connection::Impl::Send(Outgoing out) {
  if (closed || close_after_flush) return;
  queued_bytes += out.size();
  if (out.is_answer) {
    queued_answers += out.size();
    CountKept();
  }
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
    CountKept();
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
  Release();
  auto calls = std::move(pending);
  pending.clear();
  for (auto& [seq, done] : calls) {
    done(Answer(Status(EIO, Code::kConnectionLost, why.message())));
  }
  if (handlers.on_close) handlers.on_close(why);
  handlers = {};
}

uint64_t Connection::Call(Op op, const google::protobuf::MessageLite& request, Slices payload,
                          AnswerFn done) {
  Result<std::string> frame = EncodeFrame(op, 0, 1, request, payload.size());
  if (!frame.ok()) {
    // Never from within the caller.
    impl_->loop.Post([done = std::move(done), why = frame.status()] { done(Answer(why)); });
    return impl_->next_seq++;
  }
  return CallEncoded(std::make_shared<std::string>(std::move(*frame)), std::move(payload), std::move(done));
}

uint64_t Connection::CallEncoded(std::shared_ptr<std::string> frame, Slices payload, AnswerFn done,
                                 Trace trace) {
  uint64_t seq = impl_->next_seq++;
  if (impl_->closed) {
    impl_->loop.Post([done = std::move(done), why = impl_->peer + ": connection closed"] {
      done(Answer(Status(EIO, Code::kConnectionLost, why)));
    });
    return seq;
  }
  SetFrameSeq(*frame, seq);
  SetFrameTrace(*frame, (features & kFeatureTrace) != 0 ? trace : Trace{});
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

}  // namespace kfs

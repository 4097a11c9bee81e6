// What a Connection consists of: its input and output (connection.cc), and what its requests count against
// (incoming_call.cc).
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "rpc/connection.h"
#include "rpc/event_loop_impl.h"

namespace kfs {

struct Connection::Impl : ByteStream::User {
  // Input at first; it grows where much comes at once.
  static constexpr size_t kInputBufferMin = 4u << 10;

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
  Answer AnswerOf(Message message);  // closes what says nonsense
  void Send(Outgoing out);
  void ScheduleFlush();
  void Flush();
  void FlushLater();
  void Close(Status why);
  ~Impl() override { Release(); }
  bool MayRead() const;
  // Bytes that the peer makes us keep: requests in service, what they may be answered with, what is answered.
  size_t kept() const { return request_bytes + answer_bytes + queued_answers; }
  // After each change of that: counts it with the others'.
  void CountKept();
  // What is queued will not be sent any more.
  void Release();
  // Room for what has come of the body, and as much again: a header alone costs its sender nothing.
  void GrowBody();
  // A request begins to be served, or no longer counts as served.
  void InService(const Message& message, bool begins);
  void ResumeReading();

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
  const std::shared_ptr<std::atomic<size_t>> kept_of_all = loop.impl().kept_for_peers;
  size_t counted = 0;  // of `kept_of_all`
  bool closed = false;
  MonoTime last_received = loop.Now();
};

}  // namespace kfs

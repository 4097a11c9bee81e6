#include "rpc/connection.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "common/limits.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace kfs {
namespace {

using ConnectionTest = RpcFixture;

// A peer that speaks bytes: what a hostile or broken one would send.
class RawPeer {
 public:
  explicit RawPeer(EventLoop& loop, bool greeted) {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    EXPECT_EQ(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    fd_ = fds[0];
    OnLoop(loop, [&] {
      connection =
          Connection::Adopt(loop, SocketStream(loop, fds[1]),
                            {.on_request = [this](IncomingCallPtr call) { calls.push_back(std::move(call)); },
                             .on_close = [this](Status why) { closed.set_value(why); }});
      connection->greeted = greeted;
    });
  }
  ~RawPeer() { close(fd_); }
  void Send(const std::string& bytes) {
    ASSERT_EQ(write(fd_, bytes.data(), bytes.size()), ssize_t(bytes.size()));
  }
  void SendUntilClosed(const std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t n = send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (n <= 0) return;
      at += static_cast<size_t>(n);
    }
  }
  Status WaitClosed() { return closed.get_future().get(); }

  ConnectionPtr connection;
  std::vector<IncomingCallPtr> calls;
  std::promise<Status> closed;

 private:
  int fd_;
};

// A peer that takes whatever it is given, and says nothing.
class TakesAll : public ByteStream {
 public:
  explicit TakesAll(std::vector<size_t>* taken) : taken_(taken) {}
  void Read(const iovec (&)[2], User&, std::shared_ptr<void>) override {}
  ssize_t Write(const iovec* from, int count) override {
    size_t n = 0;
    for (int i = 0; i < count; ++i) n += from[i].iov_len;
    taken_->push_back(n);
    return static_cast<ssize_t>(n);
  }
  void WaitWritable(User&, std::shared_ptr<void>) override {}
  void Close() override {}
  const std::string& peer_address() const override { return peer_; }
  const char* kind() const override { return "test"; }

 private:
  std::vector<size_t>* taken_;
  const std::string peer_ = "peer";
};

TEST_F(ConnectionTest, WhoIsSentMuchDoesNotKeepTheLoopFromOthers) {
  EventLoop& loop = server_thread_.loop();
  constexpr size_t kPayload = 3u << 20;
  constexpr size_t kCalls = 5;
  std::vector<size_t> taken;
  std::promise<size_t> at_others_turn;
  ConnectionPtr c;
  OnLoop(loop, [&] {
    c = Connection::Adopt(loop, std::make_unique<TakesAll>(&taken), {});
    for (size_t i = 0; i < kCalls; ++i)
      c->Call(Op::kChunkWrite, pb::ChunkWriteRequest(), Buffer(kPayload), [](Answer) {});
    // What others have posted by then comes before the rest.
    loop.AtTickEnd([&] { loop.Post([&] { at_others_turn.set_value(c->bytes_queued()); }); });
  });
  EXPECT_GT(at_others_turn.get_future().get(), kCalls * kPayload / 2);
  for (bool more = true; more;) OnLoop(loop, [&] { more = c->bytes_queued() != 0; });
  OnLoop(loop, [&] {
    size_t all = 0;
    for (const size_t n : taken) {
      EXPECT_LE(n, 2u << 20);
      all += n;
    }
    EXPECT_GE(all, kCalls * kPayload);
    EXPECT_LE(all, kCalls * (kPayload + 128));
    c->Close(Status(EPIPE, "done"));
    c.reset();
  });
}

TEST_F(ConnectionTest, MalformedHeaderClosesTheConnection) {
  RawPeer peer(server_thread_.loop(), true);
  peer.Send(std::string(kFrameHeaderSize, 'x'));
  EXPECT_EQ(peer.WaitClosed().code(), Code::kMalformed);
}

TEST_F(ConnectionTest, BodyThatDoesNotMatchItsChecksumClosesTheConnection) {
  RawPeer peer(server_thread_.loop(), true);
  pb::ReadlinkRequest request;
  request.set_ino(300);
  std::string frame = *EncodeFrame(Op::kReadlink, 0, 1, request, 0);
  frame.back() ^= 1;
  peer.Send(frame);
  EXPECT_EQ(peer.WaitClosed().code(), Code::kMalformed);
  EXPECT_TRUE(peer.calls.empty());
}

TEST_F(ConnectionTest, AnswerNobodyAskedForClosesTheConnection) {
  RawPeer peer(server_thread_.loop(), true);
  peer.Send(*EncodeFrame(Op::kReadlink, kFlagReply, 99, pb::ReadlinkReply(), 0));
  EXPECT_EQ(peer.WaitClosed().code(), Code::kMalformed);
}

TEST_F(ConnectionTest, LargeFrameBeforeTheGreetingIsRefused) {
  RawPeer peer(server_thread_.loop(), false);
  std::string bytes(kFrameHeaderSize, '\0');
  EncodeHeader({.op = 1, .seq = 1, .payload_size = 4096}, bytes.data());
  peer.Send(bytes);
  EXPECT_EQ(peer.WaitClosed().code(), Code::kMalformed);
}

TEST_F(ConnectionTest, APayloadThatTheOpDoesNotTakeIsRefusedBeforeItIsRead) {
  for (Op op : {Op::kSetLock, Op::kPing, Op::kChunkRead, Op::kLookup, static_cast<Op>(9999)}) {
    RawPeer peer(server_thread_.loop(), true);
    std::string bytes(kFrameHeaderSize, '\0');
    EncodeHeader({.op = static_cast<uint16_t>(op), .seq = 1, .payload_size = 1}, bytes.data());
    peer.Send(bytes);  // none of it is sent
    const Status why = peer.WaitClosed();
    EXPECT_EQ(why.code(), Code::kMalformed);
    EXPECT_EQ(why.message(), "a payload of 1 bytes with " + std::string(OpName(op)));
  }
  RawPeer peer(server_thread_.loop(), true);
  std::string answer(kFrameHeaderSize, '\0');
  EncodeHeader(
      {.op = static_cast<uint16_t>(Op::kChunkWrite), .flags = kFlagReply, .seq = 1, .payload_size = 1},
      answer.data());
  peer.Send(answer);
  EXPECT_EQ(peer.WaitClosed().code(), Code::kMalformed);
}

// What the answers may need is counted before they are made: a peer that fetches none has few of them under
// way, however they are served.
TEST_F(ConnectionTest, AnswersThatMayComeCountAsOwed) {
  RawPeer peer(server_thread_.loop(), true);
  pb::ChunkReadRequest read;
  read.set_length(1u << 20);
  std::string bytes;
  for (uint64_t i = 1; i <= 100; ++i) bytes += *EncodeFrame(Op::kChunkRead, 0, i, read, 0);
  peer.Send(bytes);
  auto arrived = [&] {
    size_t n = 0;
    OnLoop(server_thread_.loop(), [&] { n = peer.calls.size(); });
    return n;
  };
  while (arrived() < 15) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) EXPECT_LE(arrived(), 17u);
  // Answered, but not fetched, they still count; nobody waits for what failed.
  OnLoop(server_thread_.loop(), [&] {
    for (size_t i = 0; i < peer.calls.size(); ++i)
      peer.calls[i]->Reply(pb::ChunkReadReply(), Buffer(1u << 20));
    peer.calls.clear();
  });
  for (int i = 0; i < 100; ++i) EXPECT_LE(arrived(), 2u);
  OnLoop(server_thread_.loop(), [&] {
    peer.calls.clear();
    peer.connection->Close(Status(ECANCELED, "test"));
  });
  EXPECT_EQ(peer.WaitClosed().err(), ECANCELED);
}

TEST_F(ConnectionTest, LargeRequestsInServiceHoldBackTheNext) {
  RawPeer peer(server_thread_.loop(), true);
  auto arrived = [&] {
    size_t n = 0;
    OnLoop(server_thread_.loop(), [&] { n = peer.calls.size(); });
    return n;
  };
  std::atomic<bool> closed = false;
  std::thread sender([&] {
    const std::string payload(4u << 20, 'w');
    for (uint64_t i = 1; i <= 12 && !closed; ++i)
      peer.SendUntilClosed(*EncodeFrame(Op::kChunkWrite, 0, i, pb::ChunkWriteRequest(), payload.size()) +
                           payload);
  });
  while (arrived() < 8) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(arrived(), 8u);
  // Who waits for others no longer counts: the request that ends the wait must be read.
  OnLoop(server_thread_.loop(), [&] { peer.calls.front()->Parked(); });
  while (arrived() < 9) std::this_thread::yield();
  closed = true;
  OnLoop(server_thread_.loop(), [&] {
    peer.calls.clear();
    peer.connection->Close(Status(ECANCELED, "test"));
  });
  sender.join();
}

TEST_F(ConnectionTest, FramesArriveHoweverTheBytesAreCut) {
  RawPeer peer(server_thread_.loop(), true);
  std::string bytes;
  for (uint64_t i = 1; i <= 20; ++i) {
    pb::ChunkWriteRequest request;
    for (uint64_t k = 0; k < i * 7; ++k) request.add_block_crc(1u << 31);
    std::string frame = *EncodeFrame(Op::kChunkWrite, 0, i, request, i * 1000);
    bytes += frame + std::string(i * 1000, static_cast<char>('a' + i));
  }
  for (size_t at = 0; at < bytes.size();) {
    size_t n = std::min<size_t>(bytes.size() - at, 1 + at % 977);
    peer.Send(bytes.substr(at, n));
    at += n;
  }
  auto count = [&] {
    size_t n = 0;
    OnLoop(server_thread_.loop(), [&] { n = peer.calls.size(); });
    return n;
  };
  while (count() < 20) std::this_thread::yield();
  OnLoop(server_thread_.loop(), [&] {
    for (size_t i = 0; i < 20; ++i) {
      pb::ChunkWriteRequest request;
      ASSERT_TRUE(peer.calls[i]->Parse(&request));
      EXPECT_EQ(request.block_crc_size(), static_cast<int>(i + 1) * 7);
      EXPECT_EQ(peer.calls[i]->payload().view(), std::string((i + 1) * 1000, static_cast<char>('a' + i + 1)));
    }
    peer.calls.clear();
    peer.connection->Close(Status(ECANCELED, "test"));
  });
  EXPECT_EQ(peer.WaitClosed().err(), ECANCELED);
}

TEST_F(ConnectionTest, LargePayloadsGoBothWays) {
  MakeClient(ClientOptions());
  pb::ChunkReadRequest read;
  read.set_length(1u << 20);
  auto a = Send<rpc::ChunkRead>(read);
  // In parts, more of them than one call of the system takes.
  const Slice whole(Buffer::Copy(std::string(3u << 20, 'w').data(), 3u << 20));
  Slices payload;
  for (size_t at = 0; at < whole.size(); at += 32u << 10) payload.Add(whole.Part(at, 32u << 10));
  auto b = Send<rpc::ChunkWrite>(pb::ChunkWriteRequest(), {}, true, payload);
  EXPECT_EQ(a.get().payload.view(), std::string(1u << 20, 'r'));
  pb::ChunkWriteReply reply;
  ASSERT_TRUE(ParseAnswer(b.get(), &reply).ok());
  EXPECT_EQ(reply.allocated(), 3u << 20);
}

TEST_F(ConnectionTest, WhatIsTooLargeFailsAndTheConnectionStays) {
  MakeClient(ClientOptions());
  OnLoop(server_thread_.loop(), [&] {
    server_->Handle<rpc::Symlink>([](const IncomingCallPtr& call, const pb::SymlinkRequest&) {
      pb::ReadlinkReply reply;
      reply.set_target(std::string(kFrameBodyMax, 't'));
      call->Reply(reply);
    });
  });
  pb::SymlinkRequest request;
  const Answer answer = Send<rpc::Symlink>(request).get();
  EXPECT_EQ(answer.status.err(), EMSGSIZE);
  EXPECT_EQ(answer.status.message(), "the answer would be a message of 1024 KiB, of 1024 that one may have");
  request.set_target(std::string(kFrameBodyMax, 't'));
  EXPECT_EQ(Send<rpc::Symlink>(request).get().status.err(), EMSGSIZE);
  EXPECT_TRUE(Send<rpc::Readlink>(pb::ReadlinkRequest()).get().status.ok());
  OnLoop(client_thread_.loop(), [&] { EXPECT_EQ(client_->reconnects(), 0u); });
}

TEST_F(ConnectionTest, DroppedCallAnswersByItself) {
  MakeClient(ClientOptions());
  auto a = Send<rpc::Statfs>(pb::StatfsRequest());
  for (;;) {
    bool held = false;
    OnLoop(server_thread_.loop(), [&] {
      held = !held_.empty();
      held_.clear();
    });
    if (held) break;
  }
  EXPECT_EQ(a.get().status.code(), Code::kTryAgain);
}

TEST_F(ConnectionTest, ReadingPausesWhenTooManyRequestsAreInService) {
  MakeClient(ClientOptions());
  std::vector<std::future<Answer>> answers;
  constexpr size_t kMore = kOpsInFlightMax + 100;
  for (size_t i = 0; i < kMore; ++i) answers.push_back(Send<rpc::Statfs>(pb::StatfsRequest()));
  auto held = [&] {
    size_t n = 0;
    OnLoop(server_thread_.loop(), [&] { n = held_.size(); });
    return n;
  };
  while (held() < kOpsInFlightMax) std::this_thread::yield();
  EXPECT_EQ(held(), kOpsInFlightMax);
  size_t answered = 0;
  while (answered < kMore) {
    OnLoop(server_thread_.loop(), [&] {
      auto batch = std::move(held_);
      held_.clear();
      for (auto& call : batch) call->Reply(pb::StatfsReply());
      answered += batch.size();
    });
  }
  for (auto& a : answers) EXPECT_TRUE(a.get().status.ok());
}

}  // namespace
}  // namespace kfs

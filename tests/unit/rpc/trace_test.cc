// A call's trace goes with its requests, to those who know of it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sstream>

#include "proto/meta.pb.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace kfs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TraceTest : public RpcFixture {
 protected:
  void SetUp() override {
    RpcFixture::SetUp();
    OnLoop(server_thread_.loop(), [&] {
      server_->Handle(Op::kReadlink, [this](IncomingCallPtr call) {
        seen_ = call->trace();
        if (call->body().empty()) return call->Reply(pb::ReadlinkReply());
        call->Fail(Status(EIO, "test"));
      });
    });
    MakeClient(ClientOptions());
  }
  // What the server has seen, by what it was sent.
  Trace Ask(Trace trace, uint64_t ino = 0) {
    std::promise<void> answered;
    OnLoop(client_thread_.loop(), [&] {
      pb::ReadlinkRequest request;
      request.set_ino(ino);
      client_->Enqueue({.op = Op::kReadlink, .request = &request, .trace = trace, .done = [&](Answer) {
                          answered.set_value();
                        }});
    });
    answered.get_future().get();
    Trace seen;
    OnLoop(server_thread_.loop(), [&] { seen = seen_; });
    return seen;
  }
  Trace seen_;  // server's loop
};

TEST_F(TraceTest, ARequestCarriesIt) {
  EXPECT_EQ(Ask({.id = 0xdeadbeef}).id, 0xdeadbeefu);
  EXPECT_FALSE(Ask({.id = 0xdeadbeef}).logged);
  EXPECT_TRUE(Ask({.id = 7, .logged = true}).logged);
  EXPECT_EQ(Ask({}).id, 0u);
}

TEST_F(TraceTest, WhoServesALoggedOneSaysSo) {
  std::ostringstream text;
  auto old = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("t", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)));
  Ask({.id = 0xbeef, .logged = true});
  Ask({.id = 0xbeef, .logged = true}, 5);
  Ask({.id = 0xf00d}, 5);
  spdlog::set_default_logger(old);
  EXPECT_THAT(text.str(),
              ::testing::ContainsRegex("op.trace trace=0000beef op=Readlink peer=[^ ]+ us=[0-9]+ err=0"));
  EXPECT_THAT(text.str(),
              ::testing::ContainsRegex("op.trace trace=0000beef op=Readlink peer=[^ ]+ us=[0-9]+ err=5"));
  EXPECT_THAT(text.str(), Not(HasSubstr("f00d")));
}

// One of before there were traces: its reserved bytes are zero, and have to be.
class OldPeerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int fds[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ASSERT_EQ(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    fd_ = fds[0];
    OnLoop(thread_.loop(), [&] {
      connection_ = Connection::Adopt(
          thread_.loop(), SocketStream(thread_.loop(), fds[1]),
          {.on_request = [](IncomingCallPtr) {}, .on_close = [this](Status why) { closed_.set_value(why); }});
      connection_->greeted = true;
    });
  }
  void TearDown() override {
    OnLoop(thread_.loop(), [&] {
      if (!connection_->closed()) connection_->Close(Status(ECANCELED, "test"));
      connection_.reset();
    });
    close(fd_);
  }
  LoopThread thread_{"test-old-peer"};
  ConnectionPtr connection_;
  std::promise<Status> closed_;
  int fd_ = -1;
};

TEST_F(OldPeerTest, ItIsSentNone) {
  pb::ReadlinkRequest request;
  auto frame = std::make_shared<std::string>(*EncodeFrame(Op::kReadlink, 0, 1, request, 0));
  const std::string without = *frame;
  // Encoded for another connection, that knew of traces.
  SetFrameTrace(*frame, {.id = 9, .logged = true});
  OnLoop(thread_.loop(),
         [&] { connection_->CallEncoded(frame, {}, [](Answer) {}, {.id = 9, .logged = true}); });
  std::string sent(without.size(), '\0');
  ASSERT_EQ(recv(fd_, sent.data(), sent.size(), MSG_WAITALL), static_cast<ssize_t>(sent.size()));
  EXPECT_EQ(sent, without);
}

TEST_F(OldPeerTest, OneThatWasNotAgreedOnEndsTheConnection) {
  std::string frame = *EncodeFrame(Op::kReadlink, 0, 1, pb::ReadlinkRequest(), 0);
  SetFrameTrace(frame, {.id = 9});
  ASSERT_EQ(send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL), static_cast<ssize_t>(frame.size()));
  EXPECT_EQ(closed_.get_future().get().code(), Code::kMalformed);
}

}  // namespace
}  // namespace kfs

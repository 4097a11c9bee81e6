// The HTTP listener in virtual time: how long it bears with a visitor.
#include <gtest/gtest.h>

#include "rpc/http.h"
#include "rpc/network.h"
#include "tests/sim/world/process.h"
#include "tests/sim/world/world.h"

namespace kfs::sim {
namespace {

constexpr char kAddress[] = "10.0.0.1:9100";

// Says what it is told to, and reads until the end.
struct Visitor : ByteStream::User {
  void Say(const std::string& text) {
    const iovec iov{const_cast<char*>(text.data()), text.size()};
    ASSERT_EQ(stream->Write(&iov, 1), static_cast<ssize_t>(text.size()));
  }
  void Read() {
    const iovec into[2] = {{buffer, sizeof(buffer)}, {}};
    stream->Read(into, *this, {});
  }
  void OnRead(const Status& status, size_t n) override {
    if (!status.ok() || n == 0) {
      ended = true;
      return;
    }
    got.append(buffer, n);
    Read();
  }
  void OnWritable(const Status&) override {}

  std::unique_ptr<Network::Dialing> dialing;
  std::unique_ptr<ByteStream> stream;
  char buffer[4096];
  std::string got;
  bool ended = false;
};

class HttpInWorldTest : public ::testing::Test {
 protected:
  HttpInWorldTest() {
    server_.Serve("/hello", [](const HttpServer::ReplyFn& reply) { reply({.body = "hello\n"}); });
    EXPECT_TRUE(server_.Listen(kAddress).ok());
  }
  ~HttpInWorldTest() override {
    visiting_->Kill();
    serving_->Kill();
  }
  void Visit(const std::string& text) {
    world_.At(world_.now(), visiting_, [&, text] {
      visitor_.dialing = visiting_->loop().network().Dial(visiting_->loop(), kAddress, {.whom = "http"},
                                                          [&, text](Result<std::unique_ptr<ByteStream>> s) {
                                                            ASSERT_TRUE(s.ok());
                                                            visitor_.stream = std::move(*s);
                                                            visitor_.Read();
                                                            visitor_.Say(text);
                                                          });
    });
  }

  World world_{1};
  std::shared_ptr<Process> serving_ = world_.AddHost("10.0.0.1")->Start("server");
  std::shared_ptr<Process> visiting_ = world_.AddHost("10.0.1.1")->Start("visitor");
  HttpServer server_{serving_->loop()};
  Visitor visitor_;
};

TEST_F(HttpInWorldTest, HalfARequestEndsTheConnectionInTime) {
  Visit("GET /hel");
  world_.RunUntil(world_.now() + 5 * kSecond);
  EXPECT_FALSE(visitor_.ended);
  world_.RunUntil(world_.now() + 7 * kSecond);
  EXPECT_TRUE(visitor_.ended);
  EXPECT_EQ(server_.visitors(), 0u);
}

TEST_F(HttpInWorldTest, AByteASecondDoesNotPutItOff) {
  Visit("GET /");
  for (int i = 1; i < 60; ++i) {
    world_.At(world_.now() + i * kSecond, visiting_, [&] {
      if (!visitor_.ended) visitor_.Say("x");
    });
  }
  world_.RunUntil(world_.now() + 13 * kSecond);
  EXPECT_TRUE(visitor_.ended);
}

TEST_F(HttpInWorldTest, WhoHasBeenServedMayComeAgainForAWhile) {
  Visit("GET /hello HTTP/1.1\r\n\r\n");
  world_.RunUntil(world_.now() + 50 * kSecond);
  EXPECT_NE(visitor_.got.find("hello\n"), std::string::npos);
  EXPECT_FALSE(visitor_.ended);
  world_.RunUntil(world_.now() + 15 * kSecond);
  EXPECT_TRUE(visitor_.ended);
}

}  // namespace
}  // namespace kfs::sim

// The HTTP listener: what is asked for is answered, whatever else comes is bounded and does nobody harm.
#include "rpc/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "rpc/address.h"
#include "rpc/monitor.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/rpc/on_loop.h"

namespace kfs {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A visitor, blocking.
class Visit {
 public:
  explicit Visit(const std::string& address) {
    const auto to = ParseNumericAddress(address, 0);
    fd_ = socket(to->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&to->storage), to->size), 0);
  }
  ~Visit() { close(fd_); }
  void Send(const std::string& text) {
    EXPECT_EQ(send(fd_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // One answer: headers and as much body as they announce. What came until the end, if that came first.
  std::string Answer() {
    for (;;) {
      const size_t end = got_.find("\r\n\r\n");
      const size_t at = got_.find("Content-Length: ");
      if (end != std::string::npos && at < end) {
        const size_t size = end + 4 + std::stoul(got_.substr(at + 16));
        if (got_.size() >= size) {
          std::string answer = got_.substr(0, size);
          got_.erase(0, size);
          return answer;
        }
      }
      char buffer[4096];
      const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
      if (n <= 0) return std::exchange(got_, {});
      got_.append(buffer, static_cast<size_t>(n));
    }
  }
  bool Ended() {
    char byte;
    return recv(fd_, &byte, 1, 0) == 0 || errno == ECONNRESET;
  }

 private:
  int fd_ = -1;
  std::string got_;
};

std::string Get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"; }

class HttpTest : public ::testing::Test {
 protected:
  void SetUp() override { Listen("127.0.0.1:0"); }
  void TearDown() override { Stop(); }
  void Listen(const std::string& address) {
    OnLoop(thread_.loop(), [&] {
      server_ = std::make_unique<HttpServer>(thread_.loop());
      server_->Serve("/hello", [](const HttpServer::ReplyFn& reply) { reply({.body = "hello\n"}); });
      server_->Serve("/large",
                     [](const HttpServer::ReplyFn& reply) { reply({.body = std::string(4 << 20, 'x')}); });
      server_->Serve("/later", [this](HttpServer::ReplyFn reply) { later_ = std::move(reply); });
      status_ = server_->Listen(address);
      address_ = server_->address();
    });
  }
  void Stop() {
    OnLoop(thread_.loop(), [&] { server_.reset(); });
  }
  std::string Ask(const std::string& request) {
    Visit visit(address_);
    visit.Send(request);
    return visit.Answer();
  }
  size_t Visitors() {
    size_t n = 0;
    OnLoop(thread_.loop(), [&] { n = server_->visitors(); });
    return n;
  }

  LoopThread thread_{"test-http"};
  std::unique_ptr<HttpServer> server_;
  HttpServer::ReplyFn later_;
  Status status_;
  std::string address_;
};

TEST_F(HttpTest, PagesAreServedOneAfterTheOtherOnAConnection) {
  Visit visit(address_);
  for (int i = 0; i < 3; ++i) {
    visit.Send(Get("/hello?x=1"));
    const std::string answer = visit.Answer();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, EndsWith("\r\n\r\nhello\n"));
  }
  visit.Send(Get("/hello") + Get("/nothing") + Get("/hello"));  // all at once
  EXPECT_THAT(visit.Answer(), EndsWith("hello\n"));
  EXPECT_THAT(visit.Answer(), StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(visit.Answer(), EndsWith("hello\n"));
}

TEST_F(HttpTest, ARequestMayComeInPieces) {
  Visit visit(address_);
  for (char c : Get("/hello")) {
    visit.Send(std::string(1, c));
    Visitors();  // what was sent has had its chance to arrive by itself
  }
  EXPECT_THAT(visit.Answer(), EndsWith("hello\n"));
}

TEST_F(HttpTest, WhatIsNotServedIsRefusedInWords) {
  EXPECT_THAT(Ask(Get("/nothing")), HasSubstr("there is no such page; there are /hello /large /later"));
  const std::string post = Ask("POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(post, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_THAT(post, HasSubstr("Allow: GET\r\n"));
  EXPECT_THAT(Ask("POST /hello HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde"), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask(std::string("\x16\x03\x01\x02\0\x01\r\n\r\n", 10)), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("GET / HTTP/1.1\r\nX: " + std::string(HttpServer::kRequestBytesMax, 'x')),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(Ask("GET /" + std::string(HttpServer::kRequestBytesMax, 'x')), StartsWith("HTTP/1.1 4"));
  EXPECT_THAT(Ask(Get("/hello")), EndsWith("hello\n"));
}

TEST_F(HttpTest, AConnectionEndsWhereItIsAskedTo) {
  Visit visit(address_);
  visit.Send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(visit.Answer(), HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(visit.Ended());
  while (Visitors() != 0) {
  }
}

TEST_F(HttpTest, OfTooManyTheOneThatAsksNothingGoes) {
  std::vector<std::unique_ptr<Visit>> idle;
  for (size_t i = 0; i < HttpServer::kVisitorsMax; ++i) idle.push_back(std::make_unique<Visit>(address_));
  while (Visitors() != HttpServer::kVisitorsMax) {
  }
  idle[0]->Send("GET /he");
  idle[1]->Send(Get("/hello"));
  EXPECT_THAT(idle[1]->Answer(), EndsWith("hello\n"));
  for (int i = 0; i < 3; ++i) EXPECT_THAT(Ask(Get("/hello")), EndsWith("hello\n"));
  EXPECT_TRUE(idle[2]->Ended());
  idle[0]->Send("llo HTTP/1.1\r\n\r\n");
  EXPECT_THAT(idle[0]->Answer(), EndsWith("hello\n"));
  idle[1]->Send(Get("/hello"));
  EXPECT_THAT(idle[1]->Answer(), EndsWith("hello\n"));
  EXPECT_LE(Visitors(), HttpServer::kVisitorsMax);
}

TEST_F(HttpTest, ALargePageArrivesWhole) {
  const std::string answer = Ask(Get("/large"));
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 4u << 20);
}

TEST_F(HttpTest, AnAnswerMayComeWhenNobodyIsThereAnyMore) {
  {
    Visit visit(address_);
    visit.Send(Get("/later"));
    bool asked = false;
    while (!asked) OnLoop(thread_.loop(), [&] { asked = later_ != nullptr; });
  }
  while (Visitors() != 0) {
  }
  OnLoop(thread_.loop(), [&] { later_({.body = "late\n"}); });
  EXPECT_THAT(Ask(Get("/hello")), EndsWith("hello\n"));
}

TEST_F(HttpTest, AUnixSocketIsForItsUserAndReplacesNoFile) {
  TempDir dir;
  const std::string path = dir.path() + "/socket";
  Stop();
  Listen("unix:" + path);
  ASSERT_TRUE(status_.ok()) << status_.ToString();
  struct stat st {};
  ASSERT_EQ(lstat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_THAT(Ask(Get("/hello")), EndsWith("hello\n"));
  Stop();
  EXPECT_NE(lstat(path.c_str(), &st), 0);
  std::ofstream(path) << "somebody's file";
  Listen("unix:" + path);
  EXPECT_EQ(status_.err(), EEXIST);
  EXPECT_THAT(status_.message(), HasSubstr(path));
  EXPECT_EQ(lstat(path.c_str(), &st), 0);
}

TEST_F(HttpTest, ATakenAddressIsAnErrorThatNamesIt) {
  const std::string taken = address_;
  LoopThread other("test-other");
  OnLoop(other.loop(), [&] {
    HttpServer second(other.loop());
    const Status s = second.Listen(taken);
    EXPECT_EQ(s.err(), EADDRINUSE);
    EXPECT_THAT(s.message(), HasSubstr(taken));
  });
}

class MonitorTest : public HttpTest {
 protected:
  void SetUp() override {
    OnLoop(thread_.loop(), [&] {
      monitor_ = std::make_unique<Monitor>(thread_.loop());
      monitor_->metrics().Add([this](MetricsPage& page) {
        ++made_;
        page.Add({MetricType::kGauge, "test_made", "Pages"}, uint64_t{made_});
      });
      monitor_->OnHealth([this] { return health_; });
      ASSERT_TRUE(monitor_->Listen("127.0.0.1:0").ok());
      address_ = monitor_->address();
    });
  }
  void TearDown() override {
    OnLoop(thread_.loop(), [&] { monitor_.reset(); });
  }
  std::unique_ptr<Monitor> monitor_;
  Status health_;
  unsigned made_ = 0;
};

TEST_F(MonitorTest, HealthIsOkOrTheReason) {
  EXPECT_THAT(Ask(Get("/healthz")), EndsWith("\r\n\r\nok\n"));
  OnLoop(thread_.loop(), [&] { health_ = Status(EIO, "disk /d is sick"); });
  const std::string answer = Ask(Get("/healthz"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\ndisk /d is sick\n"));
}

TEST_F(MonitorTest, ManyWhoAskAtOnceHaveOnePageMadeForThem) {
  std::vector<std::unique_ptr<Visit>> visits;
  for (size_t i = 0; i < HttpServer::kVisitorsMax; ++i) visits.push_back(std::make_unique<Visit>(address_));
  const auto began = std::chrono::steady_clock::now();
  for (auto& visit : visits) visit->Send(Get("/metrics"));
  for (auto& visit : visits) EXPECT_THAT(visit->Answer(), HasSubstr("kfs_process_resident_bytes"));
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began);
  OnLoop(thread_.loop(), [&] { EXPECT_LE(made_, 1 + seconds.count()); });
}

TEST_F(MonitorTest, OnceStoppedItAsksNobody) {
  OnLoop(thread_.loop(), [&] {
    monitor_->Stop();
    monitor_->Stop();
    EXPECT_EQ(made_, 0u);
  });
}

}  // namespace
}  // namespace kfs

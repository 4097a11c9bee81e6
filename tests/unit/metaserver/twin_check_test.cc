// Two chunkservers with one uuid: which of them a metaserver takes.
#include "metaserver/chunks/twin_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <future>

#include "meta_fixture.h"
#include "rpc/net_client.h"
#include "rpc/server.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/metaserver/registers.h"
#include "tests/unit/rpc/on_loop.h"

namespace kfs::meta {
namespace {

constexpr char kTwinSecret[] = "0123456789abcdef0123456789abcdef";

pb::RegisterChunkserverRequest From(const std::string& address, const std::string& instance) {
  pb::RegisterChunkserverRequest request;
  request.set_uuid("u");
  request.set_address(address);
  request.set_instance(instance);
  return request;
}

class TwinCheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Db::Open(dir_ + "/cluster", "cluster", memory_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    db_ = std::move(*opened);
    On([&] { StartMetaserver(); });
  }
  void TearDown() override {
    On([&] {
      check_.reset();
      known_.reset();
      metaserver_.reset();
      there_.clear();
      unanswered_.clear();
      servers_.reset();
    });
    db_.reset();
  }
  // Also: starts it again. What it remembers is in the database.
  void StartMetaserver() {
    check_.reset();
    servers_ = std::make_unique<Chunkservers>(*db_, clock_);
    ASSERT_TRUE(servers_->Load().ok());
    pb::ClusterConf conf;
    conf.add_chunkserver()->set_id(1);
    conf.mutable_chunkserver(0)->set_uuid("u");
    servers_->Configure(conf);
    check_ = std::make_unique<TwinCheck>(
        thread_.loop(), *servers_, Credentials::Root(kTwinSecret),
        [this](const std::string&, const TwinCheck::SeenFn& seen, const std::function<void()>& done) {
          for (const auto& s : sightings_) seen(s);
          done();
        });
  }
  // A process that answers at the address; returns it with its port.
  std::string Run(const std::string& uuid, const std::string& instance,
                  const std::string& address = "127.0.0.1:0") {
    std::string at;
    On([&] {
      auto server =
          std::make_unique<Server>(thread_.loop(), ServerIdentity{.role = pb::HelloRequest::CHUNKSERVER,
                                                                  .cluster_id = "c",
                                                                  .keyring = RootKeyring(kTwinSecret),
                                                                  .uuid = uuid,
                                                                  .instance = instance,
                                                                  .newest_connection_only = true});
      ASSERT_TRUE(server->Listen(address).ok());
      at = server->address();
      there_[at] = std::move(server);
    });
    return at;
  }
  void Kill(const std::string& address) {
    On([&] { there_.erase(address); });
  }
  // Somebody listens, and says nothing. `fd`: to be closed.
  static std::string Silent(int* fd) {
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof a;
    EXPECT_EQ(bind(*fd, reinterpret_cast<sockaddr*>(&a), length), 0);
    EXPECT_EQ(listen(*fd, 8), 0);
    EXPECT_EQ(getsockname(*fd, reinterpret_cast<sockaddr*>(&a), &length), 0);
    return fmt::format("127.0.0.1:{}", ntohs(a.sin_port));
  }
  // It has registered once, and is not connected.
  void Remember(const std::string& address, const std::string& instance) {
    On([&] {
      ASSERT_TRUE(Registers(*servers_, From(address, instance)));
      servers_->Disconnected(nullptr);
    });
  }
  // It registers, and stays connected. `answers`: to what it is asked.
  void Connect(const std::string& address, const std::string& instance, bool answers = true) {
    std::promise<void> registered;
    On([&] {
      metaserver_ = std::make_unique<Server>(
          thread_.loop(),
          ServerIdentity{.role = pb::HelloRequest::METASERVER, .keyring = RootKeyring(kTwinSecret)});
      metaserver_->Handle<rpc::RegisterChunkserver>([&](IncomingCallPtr call, const auto& request) {
        ASSERT_TRUE(Registers(*servers_, request, call->connection()));
        call->Reply(pb::RegisterChunkserverReply());
        registered.set_value();
      });
      metaserver_->OnDisconnect([this](const ConnectionPtr& c) { servers_->Disconnected(c.get()); });
      ASSERT_TRUE(metaserver_->Listen("127.0.0.1:0").ok());
      NetClient::Options net;
      net.addresses = {metaserver_->address()};
      net.role = pb::HelloRequest::CHUNKSERVER;
      net.credentials = Credentials::Root(kTwinSecret);
      known_ = std::make_unique<NetClient>(thread_.loop(), net);
      auto asked = std::make_shared<Dispatcher>(thread_.loop(),
                                                Dispatcher::Options{.role = pb::HelloRequest::CHUNKSERVER});
      asked->Handle(Op::kPing, [this, answers](IncomingCallPtr call) {
        answers ? call->Reply(pb::PingReply()) : unanswered_.push_back(std::move(call));
      });
      known_->Serve(asked);
      known_->Enqueue<rpc::RegisterChunkserver>(From(address, instance), [](const Answer&) {});
    });
    registered.get_future().wait();
  }
  std::future<Status> Ask(const pb::RegisterChunkserverRequest& request) {
    auto promise = std::make_shared<std::promise<Status>>();
    On([&] { check_->Admit(request, [promise](const Status& s) { promise->set_value(s); }); });
    return promise->get_future();
  }
  Status Admit(const pb::RegisterChunkserverRequest& request) { return Ask(request).get(); }
  void On(const std::function<void()>& fn) { OnLoop(thread_.loop(), fn); }

  const TempDir temp_;
  const std::string dir_ = temp_.path();
  DbMemory memory_{16 << 20};
  TestClock clock_;
  LoopThread thread_{"test-loop"};
  std::unique_ptr<Db> db_;
  std::unique_ptr<Chunkservers> servers_;
  std::unique_ptr<TwinCheck> check_;
  std::unique_ptr<Server> metaserver_;
  std::unique_ptr<NetClient> known_;
  std::vector<IncomingCallPtr> unanswered_;
  std::map<std::string, std::unique_ptr<Server>> there_;
  std::vector<TwinCheck::Sighting> sightings_;
};

TEST_F(TwinCheckTest, WhoeverIsWhereItWasIsTakenAtOnce) {
  const auto at_once = [](std::future<Status> f) {
    return f.wait_for(std::chrono::seconds(0)) == std::future_status::ready && f.get().ok();
  };
  EXPECT_TRUE(at_once(Ask(From("127.0.0.1:9", "a"))));  // never seen
  Remember("127.0.0.1:9", "a");
  EXPECT_TRUE(at_once(Ask(From("127.0.0.1:9", "b"))));
  Connect("127.0.0.1:9", "b");
  EXPECT_TRUE(at_once(Ask(From("127.0.0.1:9", "b"))));
}

TEST_F(TwinCheckTest, ACopyIsRefusedWhileTheOriginalIsConnected) {
  Connect("127.0.0.1:9", "a");
  const Status s = Admit(From("127.0.0.1:10", "b"));
  EXPECT_EQ(s.code(), Code::kRunsTwice);
  EXPECT_NE(s.message().find("127.0.0.1:9"), std::string::npos) << s.message();
  EXPECT_EQ(Admit(From("127.0.0.1:9", "b")).code(), Code::kRunsTwice);  // the same `advertise`, too
}

TEST_F(TwinCheckTest, ACopyIsNotTakenForAnOriginalThatIsSlowToAnswer) {
  Connect("127.0.0.1:9", "a", false);
  EXPECT_EQ(Admit(From("127.0.0.1:10", "b")).code(), Code::kTryAgain);
  EXPECT_TRUE(Admit(From("127.0.0.1:9", "b")).ok());  // its machine has been started again
}

TEST_F(TwinCheckTest, AMetaserverThatWasRestartedAsksWhereTheOriginalWas) {
  const std::string original = Run("u", "a");
  Remember(original, "a");
  On([&] { StartMetaserver(); });
  EXPECT_EQ(Admit(From("127.0.0.1:10", "b")).code(), Code::kRunsTwice);
}

TEST_F(TwinCheckTest, OneThatHasMovedIsTaken) {
  const std::string before = Run("u", "a");
  Remember(before, "a");
  Kill(before);
  EXPECT_TRUE(Admit(From("127.0.0.1:10", "b")).ok());
  Run("another", "c", before);  // who has its address now is not it
  EXPECT_TRUE(Admit(From("127.0.0.1:10", "b")).ok());
}

TEST_F(TwinCheckTest, AnOriginalThatIsBeingStartedIsWaitedFor) {
  const std::string before = Run("u", "a");
  Remember(before, "a");
  Kill(before);
  std::future<Status> copy = Ask(From("127.0.0.1:10", "b"));
  Run("u", "a2", before);
  EXPECT_EQ(copy.get().code(), Code::kRunsTwice);
}

TEST_F(TwinCheckTest, OneProcessMayHaveSeveralAddresses) {
  Remember(Run("u", "b"), "a");
  EXPECT_TRUE(Admit(From("127.0.0.1:10", "b")).ok());
}

TEST_F(TwinCheckTest, WhoeverHangsIsNotTakenForOneThatHasGone) {
  int fd = -1;
  Remember(Silent(&fd), "a");
  EXPECT_EQ(Admit(From("127.0.0.1:10", "b")).code(), Code::kTryAgain);
  close(fd);
}

TEST_F(TwinCheckTest, WhatOtherMembersKnowCounts) {
  sightings_ = {{Run("u", "a"), false}, {"127.0.0.1:10", true}};
  EXPECT_EQ(Admit(From("127.0.0.1:10", "b")).code(), Code::kRunsTwice);
  sightings_ = {{"127.0.0.1:10", true}};  // it is this one that they know
  EXPECT_TRUE(Admit(From("127.0.0.1:10", "b")).ok());
  const std::string gone = Run("u", "a");
  Kill(gone);
  sightings_ = {{gone, true}};  // we do not reach it, they do
  EXPECT_EQ(Admit(From("127.0.0.1:10", "b")).code(), Code::kTryAgain);
}

TEST_F(TwinCheckTest, TheOriginalMayComeBackWhileACopyIsLookedInto) {
  const std::string before = Run("u", "a");
  Remember(before, "a");
  Kill(before);
  std::future<Status> copy = Ask(From("127.0.0.1:10", "b"));
  EXPECT_EQ(Admit(From("127.0.0.1:11", "c")).code(), Code::kTryAgain);  // one question at a time
  EXPECT_TRUE(Admit(From(before, "a")).ok());
  Connect(before, "a");
  EXPECT_EQ(copy.get().code(), Code::kTryAgain);
  EXPECT_EQ(Admit(From("127.0.0.1:10", "b")).code(), Code::kRunsTwice);
}

TEST_F(TwinCheckTest, GoesWhileItAsks) {
  int fd = -1;
  Remember(Silent(&fd), "a");
  std::future<Status> copy = Ask(From("127.0.0.1:10", "b"));
  On([&] { check_.reset(); });
  EXPECT_THROW((void)copy.get(), std::future_error);  // its promise went unanswered
  close(fd);
}

}  // namespace
}  // namespace kfs::meta

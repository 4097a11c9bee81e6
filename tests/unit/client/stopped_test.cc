// A volume that an administrator stops and starts again, under a mount.
#include <fcntl.h>
#include <gtest/gtest.h>

#include "tests/unit/client/fake_cluster.h"

namespace kfs::test {
namespace {

class Stopped : public ::testing::Test {
 protected:
  void SetUp() override {
    ino = cluster.On([&] {
      const uint64_t i = cluster.AddFile("a", 4);
      cluster.PutChunk(i, 0, "data");
      return i;
    });
  }
  void Stop() {
    cluster.On([&] { cluster.stopped = true; });
  }
  void StartAndWait(KfsClient& client) {
    cluster.On([&] {
      cluster.stopped = false;
      cluster.intercept = nullptr;
    });
    Status last;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    do {
      last = client.Stat({}, "/").status();
      ASSERT_TRUE(last.ok() || last.code() == Code::kStopped) << last.ToString();
      ASSERT_LT(std::chrono::steady_clock::now(), end);
    } while (!last.ok());
  }
  FakeCluster cluster;
  uint64_t ino = 0;
};

TEST_F(Stopped, AMountOfItFailsAtOnceInWords) {
  Stop();
  auto options = cluster.ClientOptions();
  options.connect_timeout = std::chrono::seconds(100);
  auto client = KfsClient::Connect(options);
  EXPECT_EQ(client.status().err(), ESHUTDOWN);
  EXPECT_NE(client.status().message().find("kfs volume start data"), std::string::npos);
}

TEST_F(Stopped, CallsFailUntilItIsStartedAndOpenFilesSurvive) {
  auto client = cluster.Client();
  const FileHandlePtr file = OpenFile(*client, ino);
  Stop();
  EXPECT_EQ(client->Stat({}, "/").status().err(), ESHUTDOWN);
  EXPECT_EQ(client->Mkdir({}, "/d", 0755).status().err(), ESHUTDOWN);
  auto read = client->Wait<Buffer>([&](auto done) { client->Read({}, file, 0, 4, done); });
  EXPECT_EQ(read.status().err(), ESHUTDOWN);
  StartAndWait(*client);
  read = client->Wait<Buffer>([&](auto done) { client->Read({}, file, 0, 4, done); });
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->view(), "data");
  cluster.On([&] {
    EXPECT_EQ(cluster.sessions.size(), 1u);
    EXPECT_TRUE(cluster.reclaims.empty());
    EXPECT_EQ(cluster.executed, 1);  // the open; no mkdir
  });
}

TEST_F(Stopped, CallsUnderWayEndWhenTheAttachmentIsRefused) {
  auto client = cluster.Client();
  std::vector<IncomingCallPtr> held;
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() == Op::kOpenSession) return false;
      held.push_back(call);
      return true;
    };
  });
  Waiter<Status> lock;
  Waiter<Result<Entry>> query;
  client->SetLock(At(ino), {.owner = 1, .type = FileLock::kWrite}, true, lock.Fn());
  client->GetAttr({}, kRootIno, query.Fn());
  cluster.Until([&] { return held.size() == 2; });
  cluster.On([&] {
    cluster.stopped = true;
    cluster.intercept = nullptr;
    held.clear();
    cluster.DropConnections();
  });
  EXPECT_EQ(lock.Get().err(), ESHUTDOWN);
  EXPECT_EQ(query.Get().status().err(), ESHUTDOWN);
}

TEST_F(Stopped, AChangeUnderWayIsDoneOnceAndWhatItHoldsIsGivenBack) {
  auto client = cluster.Client();
  std::vector<IncomingCallPtr> unanswered;
  cluster.On([&] {
    cluster.swallow_answer = [&](const IncomingCallPtr& call) {
      unanswered.push_back(call);
      return true;
    };
  });
  Waiter<Result<KfsClient::Opened>> create;
  client->Create({}, kRootIno, "new", 0644, O_RDWR, create.Fn());
  cluster.Until([&] { return cluster.executed == 1; });
  cluster.On([&] {
    cluster.swallow_answer = nullptr;
    cluster.stopped = true;
    cluster.DropConnections();
    unanswered.clear();
  });
  EXPECT_EQ(create.Get().status().err(), ESHUTDOWN);
  StartAndWait(*client);
  cluster.Until([&] { return cluster.released.size() == 1; });
  cluster.On([&] { EXPECT_EQ(cluster.executed, 2); });  // one creation, one release
}

TEST_F(Stopped, WhatIsClosedMeanwhileIsReleasedWhenItIsStarted) {
  auto client = cluster.Client();
  const FileHandlePtr file = OpenFile(*client, ino);
  Stop();
  EXPECT_EQ(client->Stat({}, "/").status().err(), ESHUTDOWN);
  EXPECT_EQ(client->WaitStatus([&](auto done) { client->Release(file, false, 0, done); }).err(), ESHUTDOWN);
  cluster.On([&] { EXPECT_TRUE(cluster.released.empty()); });
  StartAndWait(*client);
  cluster.Until([&] { return cluster.released == std::vector<uint64_t>{ino}; });
}

TEST_F(Stopped, AReleaseThatIsRefusedItselfIsSentAgain) {
  auto client = cluster.Client();
  const FileHandlePtr file = OpenFile(*client, ino);
  Stop();
  EXPECT_EQ(client->WaitStatus([&](auto done) { client->Release(file, false, 0, done); }).err(), ESHUTDOWN);
  StartAndWait(*client);
  cluster.Until([&] { return cluster.released == std::vector<uint64_t>{ino}; });
}

TEST_F(Stopped, AnIdleMountNoticesAndAsksSeldom) {
  cluster.On([&] { cluster.ttl_ms = 300; });
  auto client = cluster.Client();
  cluster.On([&] { cluster.seen.clear(); });
  Stop();
  const auto begun = std::chrono::steady_clock::now();
  cluster.Until([&] { return cluster.Seen(Op::kOpenSession) >= 4; });
  // The first at once, the others a second apart.
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(1900));
  StartAndWait(*client);
}

TEST_F(Stopped, ShutdownDoesNotWaitForTheStart) {
  auto client = cluster.Client();
  const FileHandlePtr file = OpenFile(*client, ino);
  Stop();
  EXPECT_EQ(client->Stat({}, "/").status().err(), ESHUTDOWN);
  (void)client->WaitStatus([&](auto done) { client->Release(file, false, 0, done); });
  EXPECT_TRUE(client->Shutdown().ok());
}

}  // namespace
}  // namespace kfs::test

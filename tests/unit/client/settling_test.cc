// Writes that end early, or are tried again: their first bytes must not land late, and nothing is given on
// before that is sure.
#include <fcntl.h>

#include <algorithm>

#include "tests/unit/client/fake_cluster.h"

namespace kfs::test {
namespace {

class SettlingTest : public ::testing::Test {
 protected:
  SettlingTest() : client(cluster.Client()) {
    ino = cluster.On([&] { return cluster.AddFile("f", 0); });
    file = OpenFile(*client, ino);
    EXPECT_TRUE(Write("first").ok());
  }
  // On their loop: a call that is not answered is refused as it goes.
  void TearDown() override {
    cluster.On([this] {
      held.clear();
      asked = nullptr;
    });
  }
  Status Write(const std::string& data) {
    return client
        ->Wait<uint32_t>(
            [&](auto done) { client->Write({}, file, 0, Buffer::Copy(data.data(), data.size()), {}, done); })
        .status();
  }
  // A write whose data is in the network.
  CallId BeginWrite(Waiter<Result<uint32_t>>* waiter) {
    cluster.On([&] {
      cluster.ServerOf(ino, 0).intercept = [this](const IncomingCallPtr& call) {
        if (call->op() == Op::kChunkWrite) held.push_back(call);
        return call->op() == Op::kChunkWrite;
      };
    });
    const std::string data(4096, 'A');
    const CallId id = client->Write({}, file, 0, Buffer::Copy(data.data(), data.size()), {}, waiter->Fn());
    cluster.Until([&] { return held.size() == 1; });
    return id;
  }
  // GiveUpWrite is not answered until Answer.
  void HoldGiveUp() {
    cluster.On([&] {
      cluster.intercept = [this](const IncomingCallPtr& call) {
        if (call->op() != Op::kGiveUpWrite || answer_give_up) return false;
        asked = call;
        return true;
      };
    });
  }
  void AnswerGiveUp() {
    cluster.On([&] {
      answer_give_up = true;
      asked->Reply(pb::Empty());
    });
  }
  FileLock Lock(FileLock::Type type) {
    FileLock lock;
    lock.type = type;
    lock.owner = 9;
    lock.end = UINT64_MAX;
    return lock;
  }

  FakeCluster cluster;
  std::unique_ptr<KfsClient> client;
  uint64_t ino = 0;
  FileHandlePtr file;
  std::vector<IncomingCallPtr> held;  // these on the fake's thread
  IncomingCallPtr asked;
  bool answer_give_up = false;
};

TEST_F(SettlingTest, AKilledWritersLockIsGivenOnWhenItsBytesCannotComeAnyMore) {
  ASSERT_TRUE(
      client->WaitStatus([&](auto done) { client->SetLock(file, Lock(FileLock::kWrite), false, done); })
          .ok());
  Waiter<Result<uint32_t>> write;
  const CallId id = BeginWrite(&write);
  HoldGiveUp();
  client->Cancel(id);
  EXPECT_EQ(write.Get().status().err(), EINTR);  // at once
  cluster.Until([&] { return asked != nullptr; });
  // What its end gives back: the caller does not wait, the metaserver does not hear of it yet.
  EXPECT_TRUE(client->WaitStatus([&](auto done) { client->Flush(file, 9, done); }).ok());
  EXPECT_TRUE(client->WaitStatus([&](auto done) { client->Release(file, false, 0, done); }).ok());
  Waiter<Status> relocked;
  client->SetLock(file, Lock(FileLock::kWrite), false, relocked.Fn());
  (void)OpenFile(*client, ino);  // a round trip: whatever was sent before has been seen
  cluster.On([&] {
    EXPECT_EQ(cluster.Seen(Op::kFlush), 0u);
    EXPECT_EQ(cluster.Seen(Op::kRelease), 0u);
    EXPECT_EQ(cluster.Seen(Op::kSetLock), 1u);
  });
  EXPECT_FALSE(relocked.done());
  AnswerGiveUp();
  EXPECT_TRUE(relocked.Get().ok());
  cluster.On([&] {
    std::vector<Op> order;
    for (const auto& s : cluster.seen) {
      if (s.op == Op::kFlush || s.op == Op::kRelease || s.op == Op::kSetLock) order.push_back(s.op);
    }
    EXPECT_EQ(order, (std::vector<Op>{Op::kSetLock, Op::kFlush, Op::kRelease, Op::kSetLock}));
  });
}

// It is not there yet when its owner closes the file, and must not be left behind.
TEST_F(SettlingTest, ALockThatIsHeldBackIsGivenBackByTheClose) {
  Waiter<Result<uint32_t>> write;
  const CallId id = BeginWrite(&write);
  HoldGiveUp();
  client->Cancel(id);
  EXPECT_EQ(write.Get().status().err(), EINTR);
  cluster.Until([&] { return asked != nullptr; });
  Waiter<Status> lock;
  client->SetLock(file, Lock(FileLock::kWrite), false, lock.Fn());
  EXPECT_TRUE(client->WaitStatus([&](auto done) { client->Flush(file, 9, done); }).ok());
  AnswerGiveUp();
  EXPECT_TRUE(lock.Get().ok());
  cluster.Until([&] { return cluster.Seen(Op::kFlush) == 1; });
  cluster.On([&] { EXPECT_EQ(cluster.Seen(Op::kSetLock), 1u); });
}

TEST_F(SettlingTest, TheVersionOfWhatWasOnItsWayIsRaised) {
  const uint64_t version = cluster.On([&] { return cluster.ChunkOf(ino, 0).version; });
  Waiter<Result<uint32_t>> write;
  client->Cancel(BeginWrite(&write));
  EXPECT_EQ(write.Get().status().err(), EINTR);
  cluster.Until([&] { return !cluster.given_up.empty(); });
  cluster.On([&] {
    EXPECT_EQ(cluster.given_up[0].version(), version);
    EXPECT_EQ(cluster.ChunkOf(ino, 0).version, version + 1);
    cluster.ServerOf(ino, 0).intercept = nullptr;
  });
  EXPECT_TRUE(Write("second").ok());
}

TEST_F(SettlingTest, AnotherFileIsNoneOfItsBusiness) {
  const uint64_t other = cluster.On([&] { return cluster.AddFile("other", 0); });
  const FileHandlePtr other_file = OpenFile(*client, other);
  Waiter<Result<uint32_t>> write;
  const CallId id = BeginWrite(&write);
  HoldGiveUp();
  client->Cancel(id);
  EXPECT_EQ(write.Get().status().err(), EINTR);
  EXPECT_TRUE(client->WaitStatus([&](auto done) { client->Release(other_file, false, 0, done); }).ok());
  cluster.Until([&] { return cluster.Seen(Op::kRelease) == 1; });
  AnswerGiveUp();
}

TEST_F(SettlingTest, AWriteWhoseConnectionBreaksIsGivenUpBeforeTheNextTry) {
  Waiter<Result<uint32_t>> write;
  BeginWrite(&write);
  cluster.On([&] {
    FakeChunkserver& s = cluster.ServerOf(ino, 0);
    s.intercept = nullptr;
    const auto connections = s.server->connections();  // closing takes them out
    for (const auto& c : connections) c->Close(Status(EPIPE, "cut"));
  });
  EXPECT_TRUE(write.Get().ok());
  cluster.On([&] {
    ASSERT_EQ(cluster.given_up.size(), 1u);
    EXPECT_EQ(cluster.given_up[0].version(), 1u);
    EXPECT_EQ(cluster.commits.back().written(0).version(), 2u);
  });
}

TEST_F(SettlingTest, ARefusedTokenIsMendedByANewLayout) {
  cluster.On([&] {
    cluster.ServerOf(ino, 0).intercept = [refusals = 0](const IncomingCallPtr& call) mutable {
      if (call->op() != Op::kChunkWrite || refusals++ >= 3) return false;
      call->Fail(Status(EACCES, Code::kTokenRefused, "it has run out"));
      return true;
    };
  });
  const size_t before = cluster.On([&] { return cluster.Seen(Op::kPrepareWrite); });
  EXPECT_TRUE(Write("again").ok());
  cluster.On([&] {
    EXPECT_EQ(cluster.Seen(Op::kPrepareWrite), before + 3);
    EXPECT_TRUE(cluster.given_up.empty()) << "it was refused, so it cannot land";
  });
}

// The goodbye gives the locks on.
TEST_F(SettlingTest, TheSessionIsClosedWhenWritesUnderWayAreSettled) {
  Waiter<Result<uint32_t>> write;
  BeginWrite(&write);
  HoldGiveUp();
  Waiter<Status> shut;
  client->Shutdown(shut.Fn());
  EXPECT_EQ(write.Get().status().err(), ECANCELED);
  cluster.Until([&] { return asked != nullptr; });
  cluster.On([&] { EXPECT_EQ(cluster.Seen(Op::kCloseSession), 0u); });
  AnswerGiveUp();
  EXPECT_TRUE(shut.Get().ok());
  cluster.On([&] { EXPECT_EQ(cluster.Seen(Op::kCloseSession), 1u); });
}

}  // namespace
}  // namespace kfs::test

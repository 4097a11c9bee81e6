// The session: opening, attaching again, reclaiming after a restart, and losing it.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>

#include "tests/unit/client/fake_cluster.h"

namespace kfs::test {
namespace {

TEST(Session, ConnectTellsVolumeAndChunkSize) {
  FakeCluster cluster;
  auto client = cluster.Client();
  EXPECT_EQ(client->chunk_size(), kChunkSize);
  EXPECT_EQ(client->volume_id(), 7u);
}

TEST(Session, ConnectFailsInWords) {
  FakeCluster cluster;
  auto options = cluster.ClientOptions();
  options.volume = "nothing";
  auto volume = KfsClient::Connect(options);
  EXPECT_EQ(volume.status().err(), ENOENT);
  EXPECT_NE(volume.status().message().find("nothing"), std::string::npos);

  options = cluster.ClientOptions();
  options.credentials = Credentials::Root("another secret of enough bytes");
  EXPECT_EQ(KfsClient::Connect(options).status().code(), Code::kBadProof);

  options = cluster.ClientOptions();
  options.metaservers = {"127.0.0.1:1"};
  options.connect_timeout = std::chrono::milliseconds(100);
  auto nobody = KfsClient::Connect(options);
  ASSERT_FALSE(nobody.ok());
  EXPECT_NE(nobody.status().message().find("127.0.0.1:1"), std::string::npos);

  options.metaservers.clear();
  EXPECT_EQ(KfsClient::Connect(options).status().err(), EINVAL);
}

TEST(Session, ConnectWithACompletionOnASharedLoop) {
  FakeCluster cluster;
  LoopThread thread("shared");
  auto options = cluster.ClientOptions();
  options.loop = &thread.loop();
  EXPECT_EQ(KfsClient::Connect(options).status().err(), EINVAL);
  std::promise<std::unique_ptr<KfsClient>> promise;
  const auto connecting = KfsClient::Connect(options, [&](auto result) {
    EXPECT_TRUE(thread.loop().InLoopThread());
    ASSERT_TRUE(result.ok());
    promise.set_value(std::move(*result));
  });
  auto client = promise.get_future().get();
  auto attr = client->Wait<Entry>([&](auto done) { client->GetAttr({}, kRootIno, done); });
  EXPECT_TRUE(attr.ok());
  Waiter<Status> waiter;
  client->Shutdown(waiter.Fn());
  EXPECT_TRUE(waiter.Get().ok());
}

// Nobody answers at the address; whoever wanted the client goes, with the loop or before it.
TEST(Session, AnAttemptToConnectThatIsGivenUpLeavesNothing) {
  KfsClient::Options options;
  options.metaservers = {"127.0.0.1:1"};
  options.volume = "v";
  options.credentials = Credentials::Root(kSecret);
  for (const bool loop_has_ended : {false, true}) {
    EventLoop loop;
    options.loop = &loop;
    const auto held = std::make_shared<int>();
    std::unique_ptr<KfsClient::Connecting> connecting;
    options.on_trying = [&](const Status&) {
      loop.Post([&] {
        if (!loop_has_ended) connecting.reset();
        loop.Stop();
      });
    };
    connecting = KfsClient::Connect(options, [held](auto) { FAIL() << "nobody waits for it any more"; });
    loop.Run();
    EXPECT_EQ(held.use_count(), loop_has_ended ? 2 : 1);
    connecting.reset();
    EXPECT_EQ(held.use_count(), 1);
  }
}

TEST(Session, AReconnectAttachesTheSameSession) {
  FakeCluster cluster;
  auto client = cluster.Client();
  cluster.On([&] { cluster.DropConnections(); });
  EXPECT_TRUE(client->Stat({}, "/").ok());
  cluster.On([&] {
    EXPECT_EQ(cluster.Seen(Op::kOpenSession), 2u);
    EXPECT_EQ(cluster.sessions.size(), 1u);
    EXPECT_TRUE(cluster.reclaims.empty());
  });
}

TEST(Session, ARestartedMetaserverIsToldOpensAndLocks) {
  FakeCluster cluster;
  auto client = cluster.Client();
  const uint64_t a = cluster.On([&] { return cluster.AddFile("a", 0); });
  const uint64_t b = cluster.On([&] { return cluster.AddFile("b", 0); });
  const FileHandlePtr file = OpenFile(*client, a), again = OpenFile(*client, a);
  const FileHandlePtr released = OpenFile(*client, b);
  ASSERT_TRUE(client->WaitStatus([&](auto done) { client->Release(released, false, 0, done); }).ok());
  ASSERT_TRUE(
      client
          ->WaitStatus([&](auto done) {
            client->SetLock(
                file,
                {.owner = 9, .type = FileLock::kWrite, .flock = false, .start = 10, .end = 19, .pid = 3},
                false, done);
          })
          .ok());
  cluster.On([&] { cluster.Restart(); });
  EXPECT_TRUE(client->Stat({}, "/").ok());
  cluster.On([&] {
    ASSERT_EQ(cluster.reclaims.size(), 1u);
    const pb::ReclaimRequest& r = cluster.reclaims[0];
    EXPECT_TRUE(r.last());
    ASSERT_EQ(r.open_size(), 1);
    EXPECT_EQ(r.open(0).ino(), a);
    EXPECT_EQ(r.open(0).count(), 2u);
    ASSERT_EQ(r.lock_size(), 1);
    EXPECT_EQ(r.lock(0).start(), 10u);
    EXPECT_EQ(r.lock(0).owner(), 9u);
  });
}

// Opens, releases and locks are reclaimed or sent again: that a metaserver does not know their ids says
// nothing.
TEST(Session, OnlyWhatIsLoggedIsMissedAfterARestart) {
  FakeCluster cluster;
  auto client = cluster.Client();
  const uint64_t a = cluster.On([&] { return cluster.AddFile("a", 0); });
  const auto restart = [&](uint64_t known) {
    cluster.On([&] {
      cluster.known = known;
      cluster.Restart();
    });
    EXPECT_TRUE(client->Stat({}, "/").ok());
    return client->WaitStatus([&](auto done) { client->Fsync(Ino(a), done); }).err();
  };
  const FileHandlePtr before = OpenFile(*client, a, O_RDWR | O_TRUNC);
  const uint64_t logged = cluster.On([&] {
    for (const auto& s : cluster.seen) {
      if (s.op == Op::kOpen) return s.op_id;
    }
    return uint64_t{0};
  });
  ASSERT_NE(logged, 0u);
  const FileHandlePtr file = OpenFile(*client, a);
  const FileLock lock = {.owner = 9, .type = FileLock::kWrite, .flock = true, .start = 0, .end = 0, .pid = 3};
  ASSERT_TRUE(client->WaitStatus([&](auto done) { client->SetLock(file, lock, false, done); }).ok());
  ASSERT_TRUE(client->WaitStatus([&](auto done) { client->Release(file, false, 0, done); }).ok());
  EXPECT_EQ(restart(logged), 0);
  EXPECT_EQ(restart(logged - 1), EIO);
  // Through the handle of before it fails for good; what is opened now has lost nothing.
  EXPECT_EQ(client->WaitStatus([&](auto done) { client->Fsync(before, false, done); }).err(), EIO);
}

TEST(Session, PendingOpsAreSentAfterTheReclaim) {
  FakeCluster cluster;
  auto client = cluster.Client();
  std::vector<IncomingCallPtr> held;
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() != Op::kMkdir || cluster.incarnation != 1) return false;
      held.push_back(call);
      return true;
    };
  });
  Waiter<Result<Entry>> waiter;
  client->Mkdir({}, kRootIno, "d", 0755, waiter.Fn());
  cluster.Until([&] { return held.size() == 1; });
  cluster.On([&] {
    held.clear();
    cluster.seen.clear();
    cluster.Restart();
  });
  EXPECT_TRUE(waiter.Get().ok());
  cluster.On([&] {
    std::vector<Op> ops;
    for (const auto& s : cluster.seen) ops.push_back(s.op);
    EXPECT_EQ(ops, (std::vector<Op>{Op::kOpenSession, Op::kReclaim, Op::kMkdir}));
    EXPECT_EQ(cluster.seen.back().op_id, 1u);
  });
}

TEST(Session, ALostSessionEndsMutationsWithEioAndTheMountGoesOn) {
  FakeCluster cluster;
  auto client = cluster.Client();
  const uint64_t ino = cluster.On([&] { return cluster.AddFile("a", 10); });
  const FileHandlePtr old = OpenFile(*client, ino);
  const FileLock lock{.owner = 1, .type = FileLock::kWrite};
  std::vector<IncomingCallPtr> held;
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() != Op::kMkdir && call->op() != Op::kGetattr) return false;
      held.push_back(call);
      return true;
    };
  });
  Waiter<Result<Entry>> mutation, query;
  client->Mkdir({}, kRootIno, "d", 0755, mutation.Fn());
  client->GetAttr({}, kRootIno, query.Fn());
  cluster.Until([&] { return held.size() == 2; });
  cluster.On([&] {
    held.clear();
    cluster.intercept = nullptr;
    cluster.LoseSessions();
    cluster.Restart();
  });
  EXPECT_EQ(mutation.Get().status().err(), EIO);  // whether it happened is unknown
  EXPECT_TRUE(query.Get().ok());                  // asked again in the new session
  cluster.On([&] { EXPECT_EQ(cluster.executed, 1); });

  // The handle is dead, whatever is asked of it and whoever opens the file anew.
  const FileHandlePtr fresh = OpenFile(*client, ino);
  const auto read = [&](const FileHandlePtr& file) {
    return client->Wait<Buffer>([&](auto done) { client->Read({}, file, 0, 10, done); });
  };
  EXPECT_EQ(read(old).status().err(), EIO);
  const auto status = [&](auto call) { return client->WaitStatus(call).err(); };
  EXPECT_EQ(status([&](auto done) { client->Fsync(old, false, done); }), EIO);
  EXPECT_EQ(status([&](auto done) { client->SetLock(old, lock, false, done); }), EIO);
  EXPECT_EQ(status([&](auto done) { client->Fallocate({}, old, 0, 0, 5, done); }), EIO);
  EXPECT_EQ(client->Wait<FileLock>([&](auto done) { client->GetLock(old, lock, done); }).status().err(), EIO);
  EXPECT_EQ(client->Wait<uint64_t>([&](auto done) { client->Seek(old, 0, SEEK_DATA, done); }).status().err(),
            EIO);
  EXPECT_EQ(client->Wait<uint64_t>([&](auto done) { client->CopyRange({}, fresh, 0, old, 5, 1, done); })
                .status()
                .err(),
            EIO);
  kfs::SetAttr cut{.valid = pb::SetattrRequest::SIZE, .handle = old};
  EXPECT_EQ(client->Wait<Entry>([&](auto done) { client->SetAttr({}, Ino(ino), cut, done); }).status().err(),
            EIO);
  EXPECT_EQ(status([&](auto done) { client->Release(old, false, 0, done); }), 0);
  cluster.On([&] {
    EXPECT_TRUE(cluster.released.empty());  // the metaserver need not hear of it
    EXPECT_EQ(cluster.Seen(Op::kSetLock) + cluster.Seen(Op::kFsync) + cluster.Seen(Op::kSetattr), 0u);
  });
  EXPECT_EQ(read(fresh)->size(), 10u);
  EXPECT_EQ(status([&](auto done) { client->Release(fresh, false, 0, done); }), 0);
  EXPECT_EQ(status([&](auto done) { client->Release(fresh, false, 0, done); }), 0);
  cluster.On([&] { EXPECT_EQ(cluster.released.size(), 1u); });  // once for each open
}

// Asked again in the next session, where it may be gone, for nobody has it open there.
TEST(Session, AReadUnderWayWhenTheSessionWasLostEndsAsThoseAfterIt) {
  FakeCluster cluster;
  auto client = cluster.Client();
  const uint64_t ino = cluster.On([&] { return cluster.AddFile("a", 10); });
  const FileHandlePtr file = OpenFile(*client, ino);
  IncomingCallPtr held;
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() != Op::kReadLayout) return false;
      held = call;
      return true;
    };
  });
  Waiter<Result<Buffer>> read;
  client->Read({}, file, 0, 10, read.Fn());
  cluster.Until([&] { return held != nullptr; });
  cluster.On([&] {
    held = nullptr;
    cluster.intercept = [](const IncomingCallPtr& call) {
      if (call->op() != Op::kReadLayout) return false;
      call->Fail(Status(ESTALE, "the inode does not exist"));
      return true;
    };
    cluster.LoseSessions();
    cluster.Restart();
  });
  EXPECT_EQ(read.Get().status().err(), EIO);
}

// Closing asks the metaserver only when the closer may have locks; what nobody closed goes with the handle.
TEST(Session, LocksGoWithTheirOwnersAndWithTheHandle) {
  FakeCluster cluster;
  auto client = cluster.Client();
  const uint64_t ino = cluster.On([&] { return cluster.AddFile("a", 10); });
  const FileHandlePtr one = OpenFile(*client, ino), two = OpenFile(*client, ino);
  const auto status = [&](auto call) { return client->WaitStatus(call).err(); };
  const auto lock = [&](const FileHandlePtr& file, uint64_t owner) {
    const FileLock range{.owner = owner, .type = FileLock::kRead, .start = 0, .end = 9};
    return status([&](auto done) { client->SetLock(file, range, false, done); });
  };
  EXPECT_EQ(status([&](auto done) { client->Flush(one, 5, done); }), 0);
  cluster.On([&] { EXPECT_EQ(cluster.Seen(Op::kFlush), 0u); });
  EXPECT_EQ(lock(one, 5) + lock(one, 6) + lock(one, 7), 0);
  EXPECT_EQ(status([&](auto done) { client->Flush(two, 5, done); }), 0);  // through another descriptor
  cluster.On([&] { EXPECT_EQ(cluster.Seen(Op::kFlush), 1u); });
  EXPECT_EQ(status([&](auto done) { client->Flush(one, 6, done); }), 0);
  EXPECT_EQ(status([&](auto done) { client->Release(one, false, 0, done); }), 0);
  cluster.On([&] { EXPECT_EQ(cluster.Seen(Op::kFlush), 3u); });  // 5, 6, and 7 with its handle
}

TEST(Session, AfterExpiryPendingMutationsAreSentAgainAndHandlesAreDead) {
  FakeCluster cluster;
  auto client = cluster.Client();
  const uint64_t ino = cluster.On([&] { return cluster.AddFile("a", 10); });
  const FileHandlePtr file = OpenFile(*client, ino);
  cluster.On([&] {
    cluster.swallow_answer = [&](const IncomingCallPtr& call) { return call->op() == Op::kMkdir; };
  });
  Waiter<Result<Entry>> mutation;
  client->Mkdir({}, kRootIno, "d", 0755, mutation.Fn());
  cluster.Until([&] { return cluster.executed == 2; });
  cluster.On([&] {
    cluster.swallow_answer = nullptr;
    cluster.seen.clear();
    ++cluster.expiries;
    cluster.DropConnections();
  });
  EXPECT_TRUE(mutation.Get().ok());
  cluster.On([&] {
    EXPECT_EQ(cluster.executed, 2);  // not a third time
    std::vector<Op> ops;
    for (const auto& s : cluster.seen) ops.push_back(s.op);
    EXPECT_EQ(ops, (std::vector<Op>{Op::kOpenSession, Op::kReclaim, Op::kMkdir}));
    ASSERT_EQ(cluster.reclaims.size(), 1u);
    EXPECT_EQ(cluster.reclaims[0].open_size(), 0);
    EXPECT_GT(cluster.reclaims[0].op_ids(), 0u);
    EXPECT_EQ(cluster.sessions.size(), 1u);
  });
  auto read = client->Wait<Buffer>([&](auto done) { client->Read({}, file, 0, 10, done); });
  EXPECT_EQ(read.status().err(), EIO);
}

TEST(Session, AfterExpiryNothingBegunUnderALostLockIsDone) {
  FakeCluster cluster;
  auto client = cluster.Client();
  const uint64_t ino = cluster.On([&] { return cluster.AddFile("a", 10); });
  const FileHandlePtr file = OpenFile(*client, ino);
  std::vector<IncomingCallPtr> held;
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() != Op::kSetLock && call->op() != Op::kCommitWrite) return false;
      held.push_back(call);
      return true;
    };
  });
  Waiter<Status> lock;
  Waiter<Result<uint32_t>> write;
  client->SetLock(file, {.owner = 1, .type = FileLock::kWrite}, true, lock.Fn());
  client->Write({}, file, 0, Buffer::Copy("x", 1), {}, write.Fn());
  cluster.Until([&] { return held.size() == 2; });
  cluster.On([&] {
    held.clear();
    cluster.intercept = nullptr;
    cluster.seen.clear();
    ++cluster.expiries;
    cluster.DropConnections();
  });
  EXPECT_EQ(lock.Get().err(), EIO);
  EXPECT_EQ(write.Get().status().err(), EIO);
  ASSERT_TRUE(client->Stat({}, "/").ok());  // attached again by now
  cluster.On([&] {
    EXPECT_EQ(cluster.Seen(Op::kSetLock), 0u);
    EXPECT_EQ(cluster.Seen(Op::kCommitWrite), 0u);
  });
}

TEST(Session, AnUnknownSessionIsReplacedWhenAnOpIsRefused) {
  FakeCluster cluster;
  auto client = cluster.Client();
  cluster.On([&] {
    cluster.LoseSessions();
    cluster.intercept = [&, first = true](const IncomingCallPtr& call) mutable {
      if (call->op() != Op::kGetattr || !first) return false;
      first = false;
      call->Fail(Status(EACCES, Code::kUnknownSession, "expired"));
      return true;
    };
  });
  EXPECT_TRUE(client->Stat({}, "/").ok());
  cluster.On([&] { EXPECT_EQ(*cluster.sessions.begin(), 2u); });
}

TEST(Session, IsKeptAlive) {
  FakeCluster cluster;
  cluster.ttl_ms = 300;
  auto client = cluster.Client();
  cluster.Until([&] { return cluster.Seen(Op::kKeepAlive) >= 2; });
}

// It has not ended, and perhaps never will: who looks for slow mounts must see it all the same.
TEST(Session, ACallThatHangsIsToldWhileItHangs) {
  FakeCluster cluster;
  cluster.ttl_ms = 300;
  auto client = cluster.Client();
  std::vector<IncomingCallPtr> held;
  uint64_t slowest_micros = 0, ended = 0;
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() == Op::kGetattr) {
        held.push_back(call);
        return true;
      }
      pb::KeepAliveRequest told;
      if (call->op() == Op::kKeepAlive && call->Parse(&told)) {
        slowest_micros = std::max(slowest_micros, told.slowest_micros());
        ended = told.calls();
      }
      return false;
    };
  });
  std::thread caller([&] { (void)client->Stat({}, "/"); });
  cluster.Until([&] { return slowest_micros >= 500'000; });
  cluster.On([&] {
    EXPECT_EQ(ended, 0u);
    cluster.intercept = nullptr;
    for (const IncomingCallPtr& call : held) call->Fail(Status(EIO, "given up"));
    held.clear();
  });
  caller.join();
}

TEST(Session, DrainReleasesReachesTheMount) {
  FakeCluster cluster;
  ConnectionPtr connection;
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      connection = call->connection();
      return false;
    };
  });
  auto client = cluster.Client();
  std::atomic<int> asked{0};
  client->OnDrainReleases([&](std::function<void()> answered) {
    ++asked;
    answered();
  });
  ASSERT_TRUE(client->Stat({}, "/").ok());
  Waiter<Status> waiter;
  cluster.On([&] {
    connection->Call(Op::kDrainReleases, pb::DrainReleasesRequest(), {},
                     [done = waiter.Fn()](Answer a) { done(a.status); });
    connection = nullptr;
  });
  EXPECT_TRUE(waiter.Get().ok());
  EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace kfs::test

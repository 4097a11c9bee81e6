// Metadata calls: exactly once through lost connections, repeats, time-outs and cancellation.
#include <fcntl.h>

#include <atomic>
#include <thread>

#include "tests/unit/client/fake_cluster.h"

namespace kfs::test {
namespace {

TEST(Call, MkdirAndLookupAnswerWithAttributes) {
  FakeCluster cluster;
  auto client = cluster.Client();
  auto made = client->Wait<Entry>([&](auto done) { client->Mkdir({}, kRootIno, "d", 0755, done); });
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  auto found = client->Wait<Entry>([&](auto done) { client->Lookup({}, kRootIno, "d", done); });
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->attr.ino, made->attr.ino);
  auto again = client->Wait<Entry>([&](auto done) { client->Mkdir({}, kRootIno, "d", 0755, done); });
  EXPECT_EQ(again.status().err(), EEXIST);
}

TEST(Call, CallerTravelsInTheContext) {
  FakeCluster cluster;
  auto client = cluster.Client();
  pb::MkdirRequest got;
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() == Op::kMkdir) {
        EXPECT_TRUE(call->Parse(&got));
      }
      return false;
    };
  });
  const Caller caller{
      .uid = 10, .gid = 20, .groups = {30, 40}, .groups_known = true, .umask = 022, .pid = 99};
  ASSERT_TRUE(client->Wait<Entry>([&](auto done) { client->Mkdir(caller, kRootIno, "d", 0777, done); }).ok());
  const pb::Context ctx = cluster.On([&] { return got.ctx(); });
  EXPECT_EQ(ctx.uid(), 10u);
  EXPECT_EQ(ctx.gid(), 20u);
  EXPECT_EQ(ctx.groups_size(), 2);
  EXPECT_TRUE(ctx.groups_known());
  EXPECT_EQ(ctx.umask(), 022u);
  EXPECT_EQ(ctx.pid(), 99u);
}

TEST(Call, HandlesSayWhatTheyAreForAndWhatIsDoneThroughThem) {
  FakeCluster cluster;
  auto client = cluster.Client();
  pb::AccessRequest access;
  pb::SetattrRequest set;
  const uint64_t ino = cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() == Op::kSetattr) {
        EXPECT_TRUE(call->Parse(&set));
      }
      if (call->op() == Op::kAccess) {
        EXPECT_TRUE(call->Parse(&access));
      }
      return false;
    };
    return cluster.AddFile("f", 10);
  });
  auto dir = client->Wait<FileHandlePtr>(
      [&](auto done) { client->OpenDir({}, kRootIno, O_RDONLY | O_NOATIME, done); });
  ASSERT_TRUE(dir.ok());
  EXPECT_EQ((*dir)->ino(), kRootIno);
  EXPECT_EQ((*dir)->flags(), static_cast<uint32_t>(O_RDONLY | O_NOATIME));
  const FileHandlePtr file = OpenFile(*client, ino, O_RDONLY);
  EXPECT_EQ(file->ino(), Ino(ino));
  EXPECT_EQ(file->flags(), static_cast<uint32_t>(O_RDONLY));
  // ftruncate, as opposed to truncate.
  kfs::SetAttr cut{.valid = pb::SetattrRequest::SIZE, .size = 3, .handle = file};
  ASSERT_TRUE(client->Wait<Entry>([&](auto done) { client->SetAttr({}, Ino(ino), cut, done); }).ok());
  cluster.On([&] {
    EXPECT_EQ(access.mask(), 4u);
    EXPECT_EQ(set.valid(), static_cast<uint32_t>(pb::SetattrRequest::SIZE | pb::SetattrRequest::OPEN_FILE));
  });
  cut.handle = nullptr;
  ASSERT_TRUE(client->Wait<Entry>([&](auto done) { client->SetAttr({}, Ino(ino), cut, done); }).ok());
  cluster.On([&] { EXPECT_EQ(set.valid(), static_cast<uint32_t>(pb::SetattrRequest::SIZE)); });
}

TEST(Call, LostAnswerIsAskedForAgainUnderTheSameId) {
  FakeCluster cluster;
  auto client = cluster.Client();
  cluster.On([&] {
    cluster.swallow_answer = [&, times = 2](const IncomingCallPtr& call) mutable {
      if (times == 0) return false;
      --times;
      call->connection()->Close(Status(ECONNRESET, "dropped"));
      return true;
    };
  });
  auto made = client->Wait<Entry>([&](auto done) { client->Mkdir({}, kRootIno, "d", 0755, done); });
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  cluster.On([&] {
    EXPECT_EQ(cluster.executed, 1);
    EXPECT_GE(cluster.Seen(Op::kMkdir), 2u);
    for (const auto& s : cluster.seen) {
      if (s.op == Op::kMkdir) {
        EXPECT_EQ(s.op_id, 1u);
      }
    }
  });
  EXPECT_GE(client->stats().reconnects, 1u);
}

TEST(Call, ManyInFlightSurviveDroppedConnections) {
  FakeCluster cluster;
  auto client = cluster.Client();
  cluster.On([&] {
    cluster.swallow_answer = [&, n = 0](const IncomingCallPtr& call) mutable {
      if (++n % 50 != 0) return false;
      call->connection()->Close(Status(ECONNRESET, "dropped"));
      return true;
    };
  });
  constexpr int kOps = 300;
  std::vector<Waiter<Result<Entry>>> waiters(kOps);
  for (int i = 0; i < kOps; ++i) client->Mkdir({}, kRootIno, "d" + std::to_string(i), 0755, waiters[i].Fn());
  for (auto& w : waiters) EXPECT_TRUE(w.Get().ok());
  cluster.On([&] { EXPECT_EQ(cluster.executed, kOps); });
}

TEST(Call, WatermarkFollowsTheAnswers) {
  FakeCluster cluster;
  auto client = cluster.Client();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(
        client->Wait<Entry>([&](auto d) { client->Mkdir({}, kRootIno, std::to_string(i), 0755, d); }).ok());
  }
  cluster.On([&] {
    EXPECT_EQ(cluster.seen.back().op_id, 3u);
    EXPECT_EQ(cluster.seen.back().acked, 2u);
  });
}

TEST(Call, TryAgainIsRepeatedUnderTheSameIdUntilItSucceeds) {
  FakeCluster cluster;
  auto client = cluster.Client();
  cluster.On([&] {
    cluster.intercept = [&, refusals = 3](const IncomingCallPtr& call) mutable {
      if (call->op() != Op::kMkdir || refusals == 0) return false;
      --refusals;
      call->Fail(Status(EAGAIN, Code::kTryAgain, "grace period"));
      return true;
    };
  });
  ASSERT_TRUE(client->Wait<Entry>([&](auto done) { client->Mkdir({}, kRootIno, "d", 0755, done); }).ok());
  cluster.On([&] {
    EXPECT_EQ(cluster.Seen(Op::kMkdir), 4u);
    for (const auto& s : cluster.seen) {
      if (s.op == Op::kMkdir) {
        EXPECT_EQ(s.op_id, 1u);
      }
    }
  });
  EXPECT_EQ(client->stats().retries, 3u);
}

TEST(Call, SoftCallEndsWithEtimedout) {
  FakeCluster cluster;
  auto options = cluster.ClientOptions();
  options.soft = true;
  options.timeout = std::chrono::milliseconds(100);
  auto client = cluster.Client(options);
  cluster.On([&] {
    cluster.intercept = [keep =
                             std::make_shared<std::vector<IncomingCallPtr>>()](const IncomingCallPtr& call) {
      if (call->op() != Op::kGetattr && call->op() != Op::kMkdir) return false;
      keep->push_back(call);  // never answered
      return true;
    };
  });
  auto attr = client->Wait<Entry>([&](auto done) { client->GetAttr({}, kRootIno, done); });
  EXPECT_EQ(attr.status().err(), ETIMEDOUT);
  auto made = client->Wait<Entry>([&](auto done) { client->Mkdir({}, kRootIno, "d", 0755, done); });
  EXPECT_EQ(made.status().err(), ETIMEDOUT);
}

TEST(Call, CancelEndsACallThatWaitsForTheServer) {
  FakeCluster cluster;
  auto client = cluster.Client();
  std::vector<IncomingCallPtr> held;
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() != Op::kGetattr) return false;
      held.push_back(call);
      return true;
    };
  });
  Waiter<Result<Entry>> waiter;
  const CallId id = client->GetAttr({}, kRootIno, waiter.Fn());
  cluster.Until([&] { return held.size() == 1; });
  EXPECT_FALSE(waiter.done());
  client->Cancel(id);
  EXPECT_EQ(waiter.Get().status().err(), EINTR);
  client->Cancel(id);  // gone: nothing happens
  cluster.On([&] { held.clear(); });
}

TEST(Call, CancelledOpenThatHappensIsReleased) {
  FakeCluster cluster;
  auto client = cluster.Client();
  std::vector<IncomingCallPtr> held;
  const uint64_t ino = cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() != Op::kOpen) return false;
      held.push_back(call);
      return true;
    };
    return cluster.AddFile("f", 0);
  });
  Waiter<Result<KfsClient::Opened>> waiter;
  const CallId id = client->Open({}, Ino(ino), O_RDONLY, waiter.Fn());
  cluster.Until([&] { return held.size() == 1; });
  client->Cancel(id);
  EXPECT_EQ(waiter.Get().status().err(), EINTR);
  cluster.On([&] {
    pb::AttrReply reply;
    *reply.mutable_attr() = cluster.inodes[ino].attr;
    held[0]->Reply(reply);
    held.clear();
  });
  cluster.Until([&] { return cluster.released.size() == 1; });
}

TEST(Call, CancelOfAWaitingLockAsksTheMetaserver) {
  FakeCluster cluster;
  auto client = cluster.Client();
  IncomingCallPtr waiting;
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() == Op::kSetLock) {
        waiting = call;
        return true;
      }
      if (call->op() == Op::kCancelOp) {
        pb::CancelOpRequest request;
        EXPECT_TRUE(call->Parse(&request));
        EXPECT_EQ(request.op_id(), 1u);
        waiting->Fail(Status(EINTR, "cancelled"));
        waiting = nullptr;
      }
      return false;
    };
  });
  Waiter<Status> waiter;
  const CallId id = client->SetLock(At(2), {.owner = 1, .type = FileLock::kWrite}, true, waiter.Fn());
  cluster.Until([&] { return waiting != nullptr; });
  client->Cancel(id);
  EXPECT_EQ(waiter.Get().err(), EINTR);
}

TEST(Call, CompletionNeverRunsInsideTheCall) {
  FakeCluster cluster;
  auto client = cluster.Client();
  Waiter<Status> waiter;
  // On the worker's thread, an empty write is answered without a server.
  client->GetAttr({}, kRootIno, [&, done = waiter.Fn()](Result<Entry>) {
    auto inside = std::make_shared<bool>(true);
    client->Write({}, At(2), 0, Buffer(), {}, [inside, done](Result<uint32_t> r) {
      EXPECT_FALSE(*inside);
      done(r.status());
    });
    *inside = false;
  });
  EXPECT_TRUE(waiter.Get().ok());
}

TEST(Call, BlockingAndCompletionFormsFromSeveralThreads) {
  FakeCluster cluster;
  auto client = cluster.Client();
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string name = std::to_string(t) + "-" + std::to_string(i);
        if (i % 2 == 0) {
          if (client->Mkdir({}, "/" + name, 0755).ok()) ++made;
        } else {
          Waiter<Result<Entry>> waiter;
          client->Mkdir({}, kRootIno, name, 0755, waiter.Fn());
          if (waiter.Get().ok()) ++made;
        }
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(made, 200);
  cluster.On([&] { EXPECT_EQ(cluster.executed, 200); });
  EXPECT_EQ(client->stats().pending, 0u);
}

TEST(Call, BeyondTheLimitCompletionFormsAreRefused) {
  FakeCluster cluster;
  auto options = cluster.ClientOptions();
  options.ops_in_flight_max = 16;
  auto client = cluster.Client(options);
  std::vector<IncomingCallPtr> held;
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() != Op::kGetattr) return false;
      held.push_back(call);
      return true;
    };
  });
  std::vector<Waiter<Result<Entry>>> waiters(17);
  for (auto& w : waiters) client->GetAttr({}, kRootIno, w.Fn());
  EXPECT_EQ(waiters[16].Get().status().err(), EAGAIN);
  cluster.Until([&] { return held.size() == 16; });
  // A blocking caller waits for room and then gets its answer.
  std::atomic<bool> answered{false};
  std::thread blocked([&] {
    EXPECT_TRUE(client->Stat({}, "/").ok());
    answered = true;
  });
  EXPECT_FALSE(answered);
  cluster.On([&] {
    cluster.intercept = nullptr;
    pb::AttrReply reply;
    *reply.mutable_attr() = cluster.inodes[1].attr;
    for (auto& call : held) call->Reply(reply);
    held.clear();
  });
  blocked.join();
  EXPECT_TRUE(answered);
}

TEST(Call, ShutdownEndsCallsUnderWay) {
  FakeCluster cluster;
  auto client = cluster.Client();
  std::vector<IncomingCallPtr> held;
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() != Op::kMkdir) return false;
      held.push_back(call);
      return true;
    };
  });
  Waiter<Result<Entry>> waiter;
  client->Mkdir({}, kRootIno, "d", 0755, waiter.Fn());
  cluster.Until([&] { return held.size() == 1; });
  EXPECT_TRUE(client->Shutdown().ok());
  EXPECT_EQ(waiter.Get().status().err(), ECANCELED);
  cluster.On([&] {
    EXPECT_EQ(cluster.Seen(Op::kCloseSession), 1u);
    held.clear();
  });
  auto later = client->Wait<Entry>([&](auto done) { client->GetAttr({}, kRootIno, done); });
  EXPECT_EQ(later.status().err(), ECANCELED);
}

}  // namespace
}  // namespace kfs::test

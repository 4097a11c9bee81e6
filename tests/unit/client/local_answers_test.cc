// Calls that are answered without a server: at once, on the worker's thread, and only there.
#include "client/local_answers.h"

#include <fcntl.h>

#include "client/kfs_client_impl.h"
#include "tests/unit/client/fake_cluster.h"

namespace kfs::test {
namespace {

// Knows the root and, in it, one name that is there and one that is not.
class Known final : public LocalAnswers {
 public:
  std::optional<Result<Entry>> Lookup(const Caller&, Ino parent, std::string_view name) override {
    ++asked;
    if (parent != kRootIno) return std::nullopt;
    if (name == "absent") return Status(ENOENT, "known to be absent");
    if (name == "known") return Entry{.attr = {.ino = Ino(77)}, .valid_for = std::chrono::seconds(9)};
    return std::nullopt;
  }
  std::optional<Result<Entry>> GetAttr(const Caller&, Ino ino) override {
    ++asked;
    if (ino != kRootIno) return std::nullopt;
    return Entry{.attr = {.ino = kRootIno, .mode = 0123}, .valid_for = std::chrono::seconds(9)};
  }
  int asked = 0;
};

class LocalAnswersTest : public ::testing::Test {
 protected:
  LocalAnswersTest() : client(cluster.Client()) {
    OnWorker([this] { static_cast<KfsClientImpl&>(*client).AnswerFrom(&known); });
  }
  // On the worker's thread: behind the answer to a call from this one, which a server gives.
  void OnWorker(const std::function<void()>& fn) {
    Waiter<Status> waiter;
    client->Access({}, kRootIno, 0, [&, done = waiter.Fn()](const Status&) {
      fn();
      done(Status());
    });
    (void)waiter.Get();
  }
  size_t Seen(Op op) {
    return cluster.On([&] { return cluster.Seen(op); });
  }

  FakeCluster cluster;
  Known known;
  std::unique_ptr<KfsClient> client;
};

TEST_F(LocalAnswersTest, ComeBeforeTheCallReturnsAndAskNobody) {
  OnWorker([&] {
    bool answered = false;
    EXPECT_EQ(client->GetAttr({}, kRootIno,
                              [&](Result<Entry> r) {
                                answered = true;
                                EXPECT_EQ(r->attr.mode, 0123u);
                                EXPECT_EQ(r->valid_for, std::chrono::seconds(9));
                              }),
              0u);
    EXPECT_TRUE(answered);
    answered = false;
    client->Lookup({}, kRootIno, "absent", [&](const Result<Entry>& r) {
      answered = true;
      EXPECT_EQ(r.status().err(), ENOENT);
    });
    EXPECT_TRUE(answered);
    // Nobody can be let wait for what has been answered.
    client->Cancel(0);
  });
  EXPECT_EQ(Seen(Op::kGetattr) + Seen(Op::kLookup), 0u);
}

TEST_F(LocalAnswersTest, WhatIsNotKnownIsAskedForAndNotToldFromWithin) {
  cluster.On([&] { cluster.AddFile("unknown", 3); });
  Waiter<Result<Entry>> waiter;
  bool inside = true;
  OnWorker([&] {
    EXPECT_NE(client->Lookup({}, kRootIno, "unknown",
                             [&, done = waiter.Fn()](Result<Entry> r) {
                               EXPECT_FALSE(inside);
                               done(std::move(r));
                             }),
              0u);
    inside = false;
  });
  const Result<Entry> found = waiter.Get();
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->attr.size, 3u);
  EXPECT_EQ(found->valid_for, Duration::zero());  // a metaserver promises nothing yet
}

// The cache belongs to the worker's thread.
TEST_F(LocalAnswersTest, OtherThreadsAreAnsweredByTheMetaserver) {
  auto root = client->Wait<Entry>([&](auto done) { client->GetAttr({}, kRootIno, done); });
  ASSERT_TRUE(root.ok());
  EXPECT_NE(root->attr.mode, 0123u);
  OnWorker([&] { EXPECT_EQ(known.asked, 0); });
}

TEST_F(LocalAnswersTest, AStoppedVolumesAreNotGiven) {
  cluster.On([&] { cluster.stopped = true; });
  EXPECT_EQ(client->Stat({}, "/").status().err(), ESHUTDOWN);
  Waiter<Result<Entry>> waiter;
  OnWorker([&] { client->GetAttr({}, kRootIno, waiter.Fn()); });
  EXPECT_EQ(waiter.Get().status().err(), ESHUTDOWN);
  EXPECT_EQ(known.asked, 0);
}

// Each completion makes the next call and is entered from within it, in the middle of the client's own code:
// what the client was about is over by then, so that any call may be made, one to a server too.
TEST_F(LocalAnswersTest, CompletionsMayCallAgainFromWithinACall) {
  const uint64_t ino = cluster.On([&] { return cluster.AddFile("f", 0); });
  const FileHandlePtr file = OpenFile(*client, ino);
  int depth = 0;
  Waiter<Result<Entry>> from_server;
  std::function<void()> next = [&] {
    if (++depth == 100) {
      client->GetAttr({}, Ino(ino), from_server.Fn());
      return;
    }
    switch (depth % 3) {
      case 0:
        client->GetAttr({}, kRootIno, [&](const Result<Entry>&) { next(); });
        return;
      case 1:
        client->Lookup({}, kRootIno, "known", [&](const Result<Entry>&) { next(); });
        return;
      default:
        client->Flush(file, 5, [&](const Status&) { next(); });
        return;
    }
  };
  OnWorker([&] {
    next();
    EXPECT_EQ(depth, 100);
  });
  EXPECT_TRUE(from_server.Get().ok());
  EXPECT_EQ(Seen(Op::kFlush), 0u);
  EXPECT_EQ(client->stats().pending, 0u);
}

// A close that may give locks back is no such call.
TEST_F(LocalAnswersTest, AFlushIsAnsweredHereOnlyWhileItsOwnerHasAskedForNoLock) {
  const uint64_t ino = cluster.On([&] { return cluster.AddFile("f", 0); });
  const FileHandlePtr file = OpenFile(*client, ino);
  Waiter<Status> locked, flushed;
  OnWorker([&] {
    client->SetLock(file, {.owner = 5, .type = FileLock::kRead}, false, locked.Fn());  // under way
    EXPECT_NE(client->Flush(file, 5, flushed.Fn()), 0u);
    EXPECT_FALSE(flushed.done());
  });
  EXPECT_TRUE(locked.Get().ok());
  EXPECT_TRUE(flushed.Get().ok());
  EXPECT_EQ(Seen(Op::kFlush), 1u);
}

}  // namespace
}  // namespace kfs::test

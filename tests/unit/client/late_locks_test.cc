// A request for a lock that ended early may be granted all the same. What it was granted goes, and nothing
// else of its owner's does.
#include <gtest/gtest.h>

#include "tests/unit/client/fake_cluster.h"

namespace kfs::test {
namespace {

class LateLocksTest : public testing::Test {
 protected:
  LateLocksTest() {
    cluster.On([this] {
      cluster.intercept = [this](const IncomingCallPtr& call) {
        if (call->op() != Op::kSetLock) return false;
        pb::SetLockRequest request;
        EXPECT_TRUE(call->Parse(&request));
        const char* const kTypes[] = {"unlock", "read", "write"};
        asked.push_back(kTypes[request.lock().type()] + (" " + std::to_string(request.lock().start())) + "-" +
                        std::to_string(request.lock().end()));
        if (holds) {
          held.push_back(call);
        } else {
          call->Reply(pb::Empty());
        }
        return true;
      };
    });
  }
  ~LateLocksTest() override {
    cluster.On([this] { cluster.intercept = nullptr; });
  }
  static FileLock Lock(FileLock::Type type, uint64_t start, uint64_t end) {
    return {.owner = 7, .type = type, .start = start, .end = end};
  }
  Status Set(FileLock::Type type, uint64_t start, uint64_t end) {
    return client->WaitStatus([&](auto done) { client->SetLock(file, Lock(type, start, end), false, done); });
  }
  // Sent, and not answered.
  CallId Begin(FileLock::Type type, uint64_t start, uint64_t end, Waiter<Status>* waiter) {
    const size_t before = cluster.On([this] {
      holds = true;
      return held.size();
    });
    const CallId id = client->SetLock(file, Lock(type, start, end), false, waiter->Fn());
    cluster.Until([this, before] { return held.size() > before; });
    cluster.On([this] { holds = false; });
    return id;
  }
  void Answer(size_t which) {
    cluster.On([this, which] { held[which]->Reply(pb::Empty()); });
  }
  std::vector<std::string> Asked(size_t n) {
    cluster.Until([this, n] { return asked.size() >= n; });
    return cluster.On([this] { return asked; });
  }
  using Lines = std::vector<std::string>;

  FakeCluster cluster;
  bool holds = false;                 // answers
  std::vector<IncomingCallPtr> held;  // unanswered
  Lines asked;
  const FileHandlePtr file = std::make_shared<FileHandle>(Ino(2), O_RDWR);
  std::unique_ptr<KfsClient> client = cluster.Client();
};

TEST_F(LateLocksTest, WhatIsAskedForSinceIsSentWhenTheLateOneIsUndone) {
  Waiter<Status> late, next;
  client->Cancel(Begin(FileLock::kWrite, 2, 3, &late));
  EXPECT_EQ(late.Get().err(), EINTR);
  client->SetLock(file, Lock(FileLock::kWrite, 1, 3), false, next.Fn());
  // Another owner's is not held up.
  EXPECT_TRUE(client
                  ->WaitStatus([&](auto done) {
                    client->SetLock(file, {.owner = 8, .type = FileLock::kRead, .start = 9, .end = 9}, false,
                                    done);
                  })
                  .ok());
  EXPECT_FALSE(next.done());
  Answer(0);
  EXPECT_TRUE(next.Get().ok());
  EXPECT_EQ(Asked(4), (Lines{"write 2-3", "read 9-9", "unlock 2-3", "write 1-3"}));
}

TEST_F(LateLocksTest, OneThatWasRefusedHoldsUpNothingForLonger) {
  Waiter<Status> late, next;
  client->Cancel(Begin(FileLock::kWrite, 2, 3, &late));
  EXPECT_EQ(late.Get().err(), EINTR);
  client->SetLock(file, Lock(FileLock::kWrite, 1, 3), false, next.Fn());
  cluster.On([this] { held[0]->Fail(Status(EAGAIN, "the lock is held")); });
  EXPECT_TRUE(next.Get().ok());
  EXPECT_EQ(Asked(2), (Lines{"write 2-3", "write 1-3"}));
}

// Who waits for it would come between.
TEST_F(LateLocksTest, WhatTheOwnerHadIsNeverGivenBack) {
  ASSERT_TRUE(Set(FileLock::kRead, 2, 4).ok());
  ASSERT_TRUE(Set(FileLock::kRead, 7, 7).ok());
  Waiter<Status> late;
  client->Cancel(Begin(FileLock::kWrite, 0, UINT64_MAX, &late));
  EXPECT_EQ(late.Get().err(), EINTR);
  Answer(0);
  EXPECT_EQ(Asked(8), (Lines{"read 2-4", "read 7-7", "write 0-18446744073709551615", "read 2-4", "read 7-7",
                             "unlock 0-1", "unlock 5-6", "unlock 8-18446744073709551615"}));
}

TEST_F(LateLocksTest, WhatWasUnderWayMeanwhileIsAskedForOnceMore) {
  Waiter<Status> late, other;
  const CallId id = Begin(FileLock::kWrite, 2, 3, &late);
  Begin(FileLock::kWrite, 3, 4, &other);
  client->Cancel(id);
  EXPECT_EQ(late.Get().err(), EINTR);
  Answer(0);
  EXPECT_EQ(Asked(3), (Lines{"write 2-3", "write 3-4", "unlock 2-3"}));
  Answer(1);
  EXPECT_TRUE(other.Get().ok());
  EXPECT_EQ(Asked(4).back(), "write 3-4");
}

}  // namespace
}  // namespace kfs::test

// fsync: what it waits for, what it asks for, and whose failure is its own.
#include "client/unsynced_data.h"
#include "tests/unit/client/data_fixture.h"

namespace kfs::test {
namespace {

class Fsync : public Data {};

TEST_F(Fsync, SyncsTheChunksAndTheMetadata) {
  const uint64_t ino = File();
  ASSERT_TRUE(Write(ino, 0, "x").ok());
  ASSERT_TRUE(Write(ino, kChunkSize, "y").ok());
  ASSERT_TRUE(client->WaitStatus([&](auto done) { client->Fsync(At(ino), false, done); }).ok());
  cluster.On([&] {
    EXPECT_EQ(cluster.chunkservers[0].synced.size(), 1u);
    EXPECT_EQ(cluster.chunkservers[1].synced.size(), 1u);
    EXPECT_EQ(cluster.Seen(Op::kFsync), 1u);
  });
  ASSERT_TRUE(Write(ino, 1, "z", {.sync = true}).ok());
  cluster.On([&] {
    EXPECT_EQ(cluster.chunkservers[0].synced.size(), 2u);
    EXPECT_EQ(cluster.Seen(Op::kFsync), 2u);
  });
}

TEST_F(Fsync, WaitsForChunksAndLogAndFailsWithEither) {
  const uint64_t ino = File();
  ASSERT_TRUE(Write(ino, 0, "x").ok());
  std::vector<IncomingCallPtr> held;
  cluster.On([&] {
    cluster.ServerOf(ino, 0).intercept = [&](const IncomingCallPtr& call) {
      held.push_back(call);
      return true;
    };
  });
  Waiter<Status> slow;
  client->Fsync(At(ino), false, slow.Fn());
  cluster.Until([&] { return held.size() == 1 && cluster.Seen(Op::kFsync) == 1; });
  ASSERT_TRUE(client->Stat({}, "/").ok());  // behind the log's answer
  EXPECT_FALSE(slow.done());
  cluster.On([&] { held[0]->Fail(Status(EIO, "the disk is broken")); });
  EXPECT_EQ(slow.Get().err(), EIO);  // although the log was synced
  cluster.On([&] {
    held.clear();
    cluster.ServerOf(ino, 0).intercept = nullptr;
    cluster.intercept = [](const IncomingCallPtr& call) {
      if (call->op() != Op::kFsync) return false;
      call->Fail(Status(EROFS, "no log"));
      return true;
    };
  });
  EXPECT_EQ(client->WaitStatus([&](auto done) { client->Fsync(At(ino), false, done); }).err(), EROFS);
  EXPECT_EQ(Write(ino, 1, "z", {.sync = true}).status().err(), EROFS);
  cluster.On([&] { EXPECT_EQ(cluster.ServerOf(ino, 0).synced.size(), 2u); });
}

TEST_F(Fsync, ComesAfterTheCommitsUnderWayButNotAfterLaterOnes) {
  const uint64_t ino = File();
  ASSERT_TRUE(Write(ino, 0, "x").ok());
  std::vector<IncomingCallPtr> held;
  cluster.On([&] {
    cluster.seen.clear();
    cluster.intercept = [&](const IncomingCallPtr& call) {
      if (call->op() == Op::kCommitWrite) held.push_back(call);
      return call->op() == Op::kCommitWrite;
    };
  });
  Waiter<Result<uint32_t>> before, after;
  Waiter<Status> sync, given_up;
  client->Write({}, At(ino), 1, Buffer::Copy("y", 1), {}, before.Fn());
  client->Fsync(At(ino), false, sync.Fn());
  client->Cancel(client->Fsync(At(ino), false, given_up.Fn()));
  client->Write({}, At(ino), 2, Buffer::Copy("z", 1), {}, after.Fn());
  EXPECT_EQ(given_up.Get().err(), EINTR);
  cluster.Until([&] { return held.size() == 2; });
  cluster.On([&] {
    EXPECT_EQ(cluster.Seen(Op::kFsync) + cluster.Seen(Op::kReadLayout), 0u);
    EXPECT_TRUE(cluster.ServerOf(ino, 0).synced.empty());
    held[0]->Reply(pb::CommitWriteReply());
  });
  EXPECT_TRUE(before.Get().ok());
  EXPECT_TRUE(sync.Get().ok());
  EXPECT_FALSE(after.done());
  cluster.On([&] {
    EXPECT_EQ(cluster.Seen(Op::kFsync), 1u);
    held[1]->Reply(pb::CommitWriteReply());
    held.clear();
  });
  EXPECT_TRUE(after.Get().ok());
}

TEST_F(Fsync, TellsThatAChunkserverHasLostItsPowerWithWhatWasNotSynced) {
  const uint64_t ino = File(), other = File(), later = File();
  ASSERT_TRUE(Write(ino, 0, "x").ok());
  ASSERT_TRUE(Write(other, 0, "y").ok());
  const FileHandlePtr handle = At(ino), second = At(ino);
  const auto sync = [&](const FileHandlePtr& of) {
    return client->WaitStatus([&](auto done) { client->Fsync(of, false, done); }).err();
  };
  ASSERT_EQ(sync(At(other)), 0);
  cluster.On([&] {
    for (FakeChunkserver& s : cluster.chunkservers) ++s.boot;
  });
  EXPECT_EQ(sync(At(other)), 0) << "it was synced before";
  ASSERT_TRUE(Write(later, 0, "z").ok());
  EXPECT_EQ(sync(At(later)), 0) << "it was written since";
  ASSERT_TRUE(Write(ino, 1, "x").ok());
  EXPECT_EQ(sync(handle), EIO);
  EXPECT_EQ(sync(second), EIO) << "whoever has it open is told";
}

TEST(UnsyncedData, IsLostInAnotherBootUnlessASyncHasCoveredIt) {
  UnsyncedData data;
  data.Wrote(1, 7);
  const uint64_t sent = data.now();
  data.Wrote(1, 7);
  EXPECT_TRUE(data.Synced(1, 7, sent));
  EXPECT_FALSE(data.Synced(1, 8, data.now())) << "the second write came after the sync had been sent";
  EXPECT_TRUE(data.Synced(1, 8, data.now())) << "told once";
  data.Wrote(1, 8);
  EXPECT_TRUE(data.Synced(1, 8, data.now()));
  EXPECT_TRUE(data.Synced(1, 9, data.now()));
  data.Wrote(2, 0);
  EXPECT_TRUE(data.Synced(2, 9, data.now())) << "a chunkserver that does not say";
  data.Wrote(3, 9);
  EXPECT_TRUE(data.Synced(3, 10, data.now() - 1)) << "not written yet when the sync was sent";
}

TEST(UnsyncedData, IsBounded) {
  UnsyncedData data;
  for (uint64_t chunk = 1; chunk <= UnsyncedData::kMax + 5; ++chunk) data.Wrote(chunk, 1);
  EXPECT_EQ(data.size(), UnsyncedData::kMax);
  EXPECT_TRUE(data.Synced(1, 2, data.now()));
  EXPECT_FALSE(data.Synced(UnsyncedData::kMax + 5, 2, data.now()));
}

TEST_F(Fsync, AsksAgainFromWhereALayoutEnded) {
  const uint64_t ino = File();
  for (uint64_t i : {0, 1, 2, 5, 9}) ASSERT_TRUE(Write(ino, i * kChunkSize, "x").ok());
  cluster.On([&] { cluster.layout_chunks_max = 2; });
  ASSERT_TRUE(client->WaitStatus([&](auto done) { client->Fsync(At(ino), false, done); }).ok());
  cluster.On(
      [&] { EXPECT_EQ(cluster.chunkservers[0].synced.size() + cluster.chunkservers[1].synced.size(), 5u); });
}

}  // namespace
}  // namespace kfs::test

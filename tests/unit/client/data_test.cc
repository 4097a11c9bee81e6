// Reads, writes, appends, seek and copy against chunkservers that may be stale or away.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "client/data_ops.h"
#include "tests/unit/client/data_fixture.h"

namespace kfs::test {
namespace {

TEST_F(Data, ReadsBackWhatWasWritten) {
  const uint64_t ino = File();
  const std::string data = Pattern(10000);
  auto n = Write(ino, 0, data);
  ASSERT_TRUE(n.ok()) << n.status().ToString();
  EXPECT_EQ(*n, 10000u);
  EXPECT_EQ(Read(ino, 0, 20000), data);  // cut at the size
  EXPECT_EQ(Read(ino, 5000, 100), data.substr(5000, 100));
  EXPECT_EQ(Read(ino, 10000, 100), "");
}

TEST_F(Data, WriteAcrossAChunkBorderIsOneCommit) {
  const uint64_t ino = File();
  const std::string data = Pattern(3000);
  ASSERT_TRUE(Write(ino, kChunkSize - 1001, data).ok());
  cluster.On([&] {
    ASSERT_EQ(cluster.commits.size(), 1u);
    EXPECT_EQ(cluster.commits[0].written_size(), 2);
    EXPECT_EQ(cluster.commits[0].length(), 3000u);
  });
  EXPECT_EQ(Read(ino, kChunkSize - 1001, 4000), data);
}

TEST_F(Data, HolesAndUnwrittenChunksReadAsZeros) {
  const uint64_t ino = File(3 * kChunkSize);
  cluster.On([&] {
    cluster.PutChunk(ino, 0, std::string(kChunkSize, 'x'));
    cluster.PutChunk(ino, 2, "yy");
  });
  const std::string got = Read(ino, kChunkSize - 2, 2 * kChunkSize);
  ASSERT_EQ(got.size(), 2 * kChunkSize);
  EXPECT_EQ(got.substr(0, 3), std::string("xx\0", 3));
  EXPECT_EQ(got.substr(2 + kChunkSize, 3), std::string("yy\0", 3));
  EXPECT_EQ(std::count(got.begin(), got.end(), '\0'), static_cast<long>(2 * kChunkSize - 4));
  const uint64_t hole = File(5000);
  EXPECT_EQ(Read(hole, 0, 10000), std::string(5000, '\0'));
}

TEST_F(Data, KnownChunksAreWrittenWithoutPrepare) {
  const uint64_t ino = File();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Write(ino, static_cast<uint64_t>(i) * 100, Pattern(100)).ok());
  cluster.On([&] { EXPECT_EQ(cluster.Seen(Op::kPrepareWrite), 1u); });
  // A truncate makes the layout unknown again.
  kfs::SetAttr set{.valid = pb::SetattrRequest::SIZE};
  ASSERT_TRUE(client->Wait<Entry>([&](auto done) { client->SetAttr({}, Ino(ino), set, done); }).ok());
  ASSERT_TRUE(Write(ino, 0, "x").ok());
  cluster.On([&] { EXPECT_EQ(cluster.Seen(Op::kPrepareWrite), 2u); });
}

TEST_F(Data, AStaleWriteIsDoneAgainWithTheNewLayout) {
  const uint64_t ino = File();
  ASSERT_TRUE(Write(ino, 0, "first").ok());
  Bump(ino, true);
  auto n = Write(ino, 5, "second");
  ASSERT_TRUE(n.ok()) << n.status().ToString();
  EXPECT_EQ(Content(ino), "firstsecond");
}

TEST_F(Data, ARefusedCommitIsRepeatedUnderANewId) {
  const uint64_t ino = File();
  cluster.On([&] {
    cluster.intercept = [&, first = true](const IncomingCallPtr& call) mutable {
      if (call->op() != Op::kCommitWrite || !first) return false;
      first = false;
      call->Fail(Status(ESTALE, Code::kStaleChunk, "stale"));
      return true;
    };
  });
  ASSERT_TRUE(Write(ino, 0, "data").ok());
  cluster.On([&] {
    std::vector<uint64_t> ids;
    for (const auto& s : cluster.seen) {
      if (s.op == Op::kCommitWrite) ids.push_back(s.op_id);
    }
    EXPECT_EQ(ids, (std::vector<uint64_t>{1, 2}));
    EXPECT_EQ(cluster.Seen(Op::kPrepareWrite), 2u);
  });
  EXPECT_EQ(Content(ino), "data");
}

TEST_F(Data, AStaleReadIsDoneAgain) {
  const uint64_t ino = File(4);
  cluster.On([&] { cluster.PutChunk(ino, 0, "data"); });
  Bump(ino, false);
  cluster.On([&] {
    cluster.intercept = [&](const IncomingCallPtr& call) {
      pb::ReadLayoutRequest request;
      if (call->op() == Op::kReadLayout && request.ParseFromString(call->body()) &&
          request.ahead_chunk() != 0) {
        EXPECT_EQ(request.ahead_version(), 2u);
        cluster.inodes[ino].chunks[0].set_version(request.ahead_version());
      }
      return false;
    };
  });
  EXPECT_EQ(Read(ino, 0, 10), "data");
  cluster.On(
      [&] { EXPECT_EQ(cluster.Seen(Op::kReadLayout), 3u); });  // old, again, told that the chunk is ahead
}

TEST_F(Data, AChunkThatStaysStaleIsEioNotForEver) {
  const uint64_t ino = File(4);
  cluster.On([&] {
    cluster.PutChunk(ino, 0, "data");
    cluster.ServerOf(ino, 0).chunks.clear();
  });
  auto r = client->Wait<Buffer>([&](auto done) { client->Read({}, At(ino), 0, 4, done); });
  EXPECT_EQ(r.status().err(), EIO);
}

TEST_F(Data, ALostChunkIsNotReplacedByAnEmptyOne) {
  const uint64_t ino = File(0);
  ASSERT_TRUE(Write(ino, 0, "data").ok());
  cluster.On([&] { cluster.ServerOf(ino, 0).chunks.clear(); });
  EXPECT_EQ(Write(ino, 2, "x").status().err(), EIO);  // it knows that from its own commit
  auto other = cluster.Client();
  auto n =
      other->Wait<uint32_t>([&](auto done) { other->Write({}, At(ino), 2, Buffer::Copy("x", 1), {}, done); });
  EXPECT_EQ(n.status().err(), EIO);  // and from the metaserver
}

TEST_F(Data, CorruptionIsTold) {
  const uint64_t ino = File(4);
  cluster.On([&] {
    cluster.PutChunk(ino, 0, "data");
    cluster.ServerOf(ino, 0).intercept = [](const IncomingCallPtr& call) {
      call->Fail(Status(EIO, Code::kCorrupt, "checksum"));
      return true;
    };
  });
  auto r = client->Wait<Buffer>([&](auto done) { client->Read({}, At(ino), 0, 4, done); });
  EXPECT_EQ(r.status().code(), Code::kCorrupt);
}

TEST_F(Data, AppendsGoWhereTheMetaserverSays) {
  const uint64_t ino = File();
  ASSERT_TRUE(Write(ino, 0, "one,", {.append = true}).ok());
  ASSERT_TRUE(Write(ino, 0, "two", {.append = true}).ok());
  EXPECT_EQ(Content(ino), "one,two");
  cluster.On([&] {
    EXPECT_EQ(cluster.commits[0].append_token(), 100u);
    EXPECT_EQ(cluster.commits[1].append_token(), 101u);
    EXPECT_EQ(cluster.commits[1].offset(), 4u);
    EXPECT_TRUE(cluster.aborted_tokens.empty());
  });
}

TEST_F(Data, AFailedAppendGivesItsTokenBack) {
  const uint64_t ino = File();
  cluster.On([&] {
    for (auto& s : cluster.chunkservers) {
      s.intercept = [](const IncomingCallPtr& call) {
        call->Fail(Status(ENOSPC, "full"));
        return true;
      };
    }
  });
  EXPECT_EQ(Write(ino, 0, "data", {.append = true}).status().err(), ENOSPC);
  cluster.Until([&] { return cluster.aborted_tokens == std::vector<uint64_t>{100}; });
  EXPECT_EQ(Content(ino), "");
}

TEST_F(Data, AStaleAppendIsRedoneWhole) {
  const uint64_t ino = File();
  cluster.On([&] {
    cluster.intercept = [&, first = true](const IncomingCallPtr& call) mutable {
      if (call->op() != Op::kCommitWrite || !first) return false;
      first = false;
      cluster.inodes[ino].attr.set_size(3);  // somebody else got in
      call->Fail(Status(ESTALE, Code::kStaleChunk, "the size is another"));
      return true;
    };
  });
  ASSERT_TRUE(Write(ino, 0, "data", {.append = true}).ok());
  cluster.On([&] {
    EXPECT_EQ(cluster.commits.back().offset(), 3u);
    EXPECT_EQ(cluster.inodes[ino].attr.size(), 7u);
  });
}

TEST_F(Data, CommitsLeaveInTheOrderOfTheWrites) {
  const uint64_t ino = File();
  ASSERT_TRUE(Write(ino, 0, "x").ok());
  ASSERT_TRUE(Write(ino, kChunkSize, "x").ok());  // the other chunkserver
  std::vector<IncomingCallPtr> held;
  cluster.On([&] {
    cluster.commits.clear();
    cluster.ServerOf(ino, 0).intercept = [&](const IncomingCallPtr& call) {
      held.push_back(call);
      return true;
    };
  });
  std::vector<Waiter<Result<uint32_t>>> waiters(3);
  client->Write({}, At(ino), 0, Buffer::Copy("aa", 2), {}, waiters[0].Fn());
  client->Write({}, At(ino), kChunkSize, Buffer::Copy("bb", 2), {}, waiters[1].Fn());
  client->Write({}, At(ino), kChunkSize + 2, Buffer::Copy("cc", 2), {}, waiters[2].Fn());
  cluster.Until([&] { return held.size() == 1 && cluster.ChunkOf(ino, 1).data.size() == 4; });
  cluster.On([&] {
    EXPECT_TRUE(cluster.commits.empty());
    held[0]->Reply(pb::ChunkWriteReply());
    held.clear();
    cluster.ServerOf(ino, 0).intercept = nullptr;
  });
  for (auto& w : waiters) EXPECT_TRUE(w.Get().ok());
  cluster.On([&] {
    ASSERT_EQ(cluster.commits.size(), 3u);
    EXPECT_EQ(cluster.commits[0].offset(), 0u);
    EXPECT_EQ(cluster.commits[1].offset(), kChunkSize);
    EXPECT_EQ(cluster.commits[2].offset(), kChunkSize + 2);
  });
}

TEST_F(Data, ADeadChunkserverIsWaitedForAndFoundAtItsNewPlace) {
  const uint64_t ino = File();
  ASSERT_TRUE(Write(ino, 0, "before").ok());
  std::string good;
  cluster.On([&] {
    auto* server = cluster.inodes[ino].chunks[0].mutable_server(0);
    good = server->address();
    server->set_address("127.0.0.1:1");
  });
  Waiter<Result<Buffer>> waiter;
  client->Read({}, At(ino), 0, 6, waiter.Fn());
  cluster.Until([&] { return cluster.Seen(Op::kReadLayout) == 1; });
  cluster.On([&] { cluster.inodes[ino].chunks[0].mutable_server(0)->set_address(good); });
  auto r = waiter.Get();  // after the old address was given up
  ASSERT_TRUE(r.ok()) << r.status().ToString();
  EXPECT_EQ(r->view(), "before");
}

TEST_F(Data, CancelEndsAReadThatWaitsForADeadChunkserver) {
  const uint64_t ino = File();
  ASSERT_TRUE(Write(ino, 0, "data").ok());
  cluster.On([&] { cluster.inodes[ino].chunks[0].mutable_server(0)->set_address("127.0.0.1:1"); });
  Waiter<Result<Buffer>> waiter;
  const CallId id = client->Read({}, At(ino), 0, 4, waiter.Fn());
  cluster.Until([&] { return cluster.Seen(Op::kReadLayout) == 1; });
  client->Cancel(id);
  EXPECT_EQ(waiter.Get().status().err(), EINTR);
}

TEST_F(Data, SoftReadFromADeadChunkserverTimesOut) {
  auto options = cluster.ClientOptions();
  options.soft = true;
  options.timeout = std::chrono::milliseconds(200);
  auto soft = cluster.Client(options);
  const uint64_t ino = File(4);
  cluster.On([&] {
    cluster.PutChunk(ino, 0, "data");
    cluster.inodes[ino].chunks[0].mutable_server(0)->set_address("127.0.0.1:1");
  });
  auto r = soft->Wait<Buffer>([&](auto done) { soft->Read({}, At(ino), 0, 4, done); });
  EXPECT_EQ(r.status().err(), ETIMEDOUT);
}

TEST_F(Data, AReadAsksTheNextReplicaWhenOneCannotBeReached) {
  const uint64_t ino = File(4);
  cluster.On([&] {
    cluster.PutChunk(ino, 0, "data");
    pb::ChunkLayout& chunk = cluster.inodes[ino].chunks[0];
    const pb::Server good = chunk.server(0);
    chunk.clear_server();
    chunk.add_server()->set_id(98);  // of which no address is known
    pb::Server* dead = chunk.add_server();
    dead->set_id(99);
    dead->set_address("127.0.0.1:1");
    *chunk.add_server() = good;
  });
  EXPECT_EQ(Read(ino, 0, 10), "data");
  EXPECT_EQ(*Seek(ino, 0, SEEK_HOLE), 4u);
  cluster.On([&] { EXPECT_EQ(cluster.Seen(Op::kReadLayout), 2u); });  // one each: the layout was good
}

TEST_F(Data, AWriteGoesToTheHeadAndNowhereElse) {
  const uint64_t ino = File();
  pb::Server head, other;
  cluster.On([&] {
    cluster.PutChunk(ino, 0, "....");
    pb::ChunkLayout& chunk = cluster.inodes[ino].chunks[0];
    head = chunk.server(0);
    FakeChunkserver& second = cluster.chunkservers[2 - head.id()];
    second.chunks[chunk.chunk()] = FakeChunk{.version = chunk.version(), .data = "...."};
    other.set_id(3 - head.id());
    other.set_address(second.server->address());
    *chunk.add_server() = other;
    chunk.mutable_server(0)->set_address("127.0.0.1:1");
  });
  Waiter<Result<uint32_t>> waiter;
  client->Write({}, At(ino), 0, Buffer::Copy("data", 4), {}, waiter.Fn());
  cluster.Until([&] { return cluster.Seen(Op::kPrepareWrite) >= 2; });  // the head was asked in vain
  cluster.On([&] {
    EXPECT_EQ(cluster.chunkservers[other.id() - 1].chunks.begin()->second.data, "....");
    pb::ChunkLayout& chunk = cluster.inodes[ino].chunks[0];
    *chunk.mutable_server(0) = head;
    for (auto& s : cluster.chunkservers) s.chunks[chunk.chunk()].version = chunk.version();
  });
  ASSERT_TRUE(waiter.Get().ok());
  // All of them are asked to make it durable.
  ASSERT_TRUE(client->WaitStatus([&](auto done) { client->Fsync(At(ino), false, done); }).ok());
  cluster.On([&] {
    for (auto& s : cluster.chunkservers) EXPECT_EQ(s.synced.size(), 1u);
  });
}

// Both at once, and the answer is that of both.
TEST_F(Data, SeekFindsDataAndHoles) {
  const uint64_t ino = File(4 * kChunkSize);
  cluster.On([&] {
    cluster.PutChunk(ino, 1, std::string(kChunkSize, 'x'));
    cluster.PutChunk(ino, 2, std::string("xx\0\0yy", 6));
  });
  EXPECT_EQ(*Seek(ino, 0, SEEK_DATA), kChunkSize);
  EXPECT_EQ(*Seek(ino, 5, SEEK_HOLE), 5u);
  EXPECT_EQ(*Seek(ino, kChunkSize + 3, SEEK_DATA), kChunkSize + 3);
  EXPECT_EQ(*Seek(ino, kChunkSize, SEEK_HOLE), 2 * kChunkSize + 2);
  EXPECT_EQ(*Seek(ino, 2 * kChunkSize + 2, SEEK_DATA), 2 * kChunkSize + 4);
  EXPECT_EQ(Seek(ino, 2 * kChunkSize + 6, SEEK_DATA).status().err(), ENXIO);
  EXPECT_EQ(Seek(ino, 4 * kChunkSize, SEEK_HOLE).status().err(), ENXIO);
  EXPECT_EQ(Seek(ino, 0, SEEK_SET).status().err(), EINVAL);
  const uint64_t full = File(100);
  cluster.On([&] { cluster.PutChunk(full, 0, std::string(100, 'x')); });
  EXPECT_EQ(*Seek(full, 0, SEEK_HOLE), 100u);  // the end of the file is a hole
}

TEST_F(Data, SeekCrossesALongHole) {
  const uint64_t far = (uint64_t{1} << 20) * 8 * kChunkSize;
  const uint64_t ino = File(far);
  EXPECT_EQ(Seek(ino, 0, SEEK_DATA).status().err(), ENXIO);
  cluster.On([&] { EXPECT_LT(cluster.Seen(Op::kReadLayout), 10u); });
}

TEST_F(Data, CopyRangeCopiesAndStopsAtTheEnd) {
  const uint64_t from = File(), to = File();
  const std::string data = Pattern(3 * kChunkSize / 2);
  ASSERT_TRUE(Write(from, 0, data).ok());
  auto n = client->Wait<uint64_t>(
      [&](auto done) { client->CopyRange({}, At(from), 10, At(to), 5, 5 << 20, done); });
  ASSERT_TRUE(n.ok()) << n.status().ToString();
  EXPECT_EQ(*n, data.size() - 10);
  EXPECT_EQ(Content(to).substr(5), data.substr(10));
  auto overlap =
      client->Wait<uint64_t>([&](auto done) { client->CopyRange({}, At(from), 0, At(from), 5, 10, done); });
  EXPECT_EQ(overlap.status().err(), EINVAL);
}

TEST_F(Data, OffsetsPastTheLargestFileAreRefused) {
  const uint64_t ino = File();
  EXPECT_EQ(Write(ino, UINT64_MAX - 1, "xxxx").status().err(), EFBIG);
  EXPECT_EQ(*Write(ino, 0, ""), 0u);
}

TEST_F(Data, LostChunkserverConnectionsAreNotNoticed) {
  const uint64_t ino = File();
  for (int i = 0; i < 20; ++i) {
    cluster.On([&] {
      for (auto& s : cluster.chunkservers) {
        const auto connections = s.server->connections();
        for (const auto& c : connections) c->Close(Status(ECONNRESET, "dropped"));
      }
    });
    ASSERT_TRUE(Write(ino, static_cast<uint64_t>(i) * 10, Pattern(10, i)).ok());
    ASSERT_EQ(Read(ino, static_cast<uint64_t>(i) * 10, 10), Pattern(10, i));
  }
}

TEST(ChunkRetry, CommitsThatAreRefusedAreNoErrorHoweverMany) {
  ChunkRetry retry;
  for (int i = 0; i < 3 * ChunkRetry::kStaleMax; ++i) {
    retry.NoteStale();
    EXPECT_TRUE(retry.Next().ok());
  }
  Answer not_here;
  not_here.status = Status(ESTALE, Code::kStaleChunk, "not here");
  for (int i = 0; i < ChunkRetry::kStaleMax; ++i) {
    EXPECT_TRUE(retry.Note({}, not_here));
    EXPECT_TRUE(retry.Next().ok());
  }
  EXPECT_TRUE(retry.Note({}, not_here));
  EXPECT_EQ(retry.Next().status().err(), EIO);
}

}  // namespace
}  // namespace kfs::test

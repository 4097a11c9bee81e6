// Reads, writes, appends, fsync, seek and copy against chunkservers that may be stale or away.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "tests/unit/client/fake_cluster.h"

namespace kfs::test {
namespace {

std::string Pattern(size_t size, int seed = 1) {
  std::string s(size, '\0');
  for (size_t i = 0; i < size; ++i)
    s[i] = static_cast<char>('a' + (i * 7 + static_cast<size_t>(seed) + i / 251) % 26);
  return s;
}

class Data : public ::testing::Test {
 protected:
  Data() : client(cluster.Client()) {}
  uint64_t File(uint64_t size = 0) {
    return cluster.On([&] { return cluster.AddFile("f" + std::to_string(++files), size); });
  }
  Result<uint32_t> Write(uint64_t ino, uint64_t offset, const std::string& data,
                         KfsClient::WriteFlags flags = {}) {
    return client->Wait<uint32_t>([&](auto done) {
      client->Write({}, At(ino), offset, Buffer::Copy(data.data(), data.size()), flags, done);
    });
  }
  std::string Read(uint64_t ino, uint64_t offset, uint32_t size) {
    auto r = client->Wait<Buffer>([&](auto done) { client->Read({}, At(ino), offset, size, done); });
    return r.ok() ? std::string(r->view()) : r.status().ToString();
  }
  Result<uint64_t> Seek(uint64_t ino, uint64_t offset, int whence) {
    return client->Wait<uint64_t>([&](auto done) { client->Seek(At(ino), offset, whence, done); });
  }
  std::string Content(uint64_t ino) {
    return cluster.On([&] { return cluster.Content(ino); });
  }
  // Chunk 0 of the file takes another version; the client's cached layout is stale then.
  void Bump(uint64_t ino, bool metaserver_knows) {
    cluster.On([&] {
      const uint64_t version = ++cluster.ChunkOf(ino, 0).version;
      if (metaserver_knows) cluster.inodes[ino].chunks[0].set_version(version);
    });
  }

  FakeCluster cluster;
  std::unique_ptr<KfsClient> client;
  int files = 0;
};

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

TEST_F(Data, FsyncSyncsTheChunksAndTheMetadata) {
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

// Both at once, and the answer is that of both.
TEST_F(Data, FsyncWaitsForChunksAndLogAndFailsWithEither) {
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

TEST_F(Data, FsyncComesAfterTheCommitsUnderWayButNotAfterLaterOnes) {
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

TEST_F(Data, FsyncAsksAgainFromWhereALayoutEnded) {
  const uint64_t ino = File();
  for (uint64_t i : {0, 1, 2, 5, 9}) ASSERT_TRUE(Write(ino, i * kChunkSize, "x").ok());
  cluster.On([&] { cluster.layout_chunks_max = 2; });
  ASSERT_TRUE(client->WaitStatus([&](auto done) { client->Fsync(At(ino), false, done); }).ok());
  cluster.On(
      [&] { EXPECT_EQ(cluster.chunkservers[0].synced.size() + cluster.chunkservers[1].synced.size(), 5u); });
}

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

}  // namespace
}  // namespace kfs::test

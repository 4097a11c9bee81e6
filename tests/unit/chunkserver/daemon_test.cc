// The whole daemon beside a metaserver that is only a table of answers: registration, data, mutation,
// inventory.
#include "chunkserver/daemon.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>

#include "common/crc32c.h"
#include "common/keys.h"
#include "common/limits.h"
#include "common/secret.h"
#include "proto/op_types.h"
#include "rpc/net_client.h"
#include "rpc/server.h"
#include "tests/unit/chunkserver/test_access.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/rpc/on_loop.h"

namespace kfs {
namespace {

constexpr char kSecret[] = "0123456789abcdef0123456789abcdef";
constexpr uint64_t kDaemonClock = 9;

class DaemonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteSecretFile(root_ + "/secret", kSecret).ok());
    On([&] {
      metaserver_ =
          std::make_unique<Server>(thread_.loop(), ServerIdentity{.role = pb::HelloRequest::METASERVER,
                                                                  .cluster_id = "cluster-a",
                                                                  .keyring = RootKeyring(kSecret)});
      metaserver_->Handle<rpc::RegisterChunkserver>([this](IncomingCallPtr call, const auto& request) {
        connection_ = call->connection();
        uuid_ = request.uuid();
        address_ = request.address();
        pb::RegisterChunkserverReply reply;
        reply.set_server_id(1);
        reply.set_heartbeat_ms(100);
        reply.set_clock(kDaemonClock);
        reply.set_clock_ms(1000);
        call->Reply(reply);
        Note([this] { registrations_++; });
      });
      metaserver_->Handle<rpc::Heartbeat>([this](IncomingCallPtr call, const auto& request) {
        EXPECT_EQ(request.disk_size(), 1);
        EXPECT_GT(request.rss_bytes(), 0u);
        call->Reply(pb::HeartbeatReply());
        Note([this] { heartbeats_++; });
      });
      metaserver_->Handle<rpc::ReportChunks>([this](IncomingCallPtr call, const auto& request) {
        pb::ReportChunksReply reply;
        for (const auto& held : request.held()) {
          if (held.chunk() == 666) reply.add_garbage(held.chunk());
        }
        call->Reply(reply);
        Note([&, this] { reported_ += request.held_size(); });
      });
      ASSERT_TRUE(metaserver_->Listen("127.0.0.1:0").ok());
    });
    Start();
  }
  void TearDown() override {
    On([&] {
      client_.reset();
      daemon_.reset();
      connection_.reset();
      metaserver_.reset();
    });
  }

  void Start() {
    On([&] {
      client_.reset();
      daemon_.reset();
      options_ = std::make_unique<ChunkserverOptions>();
      ASSERT_TRUE(options_->Set("data-dirs", root_ + "/d0").ok());
      ASSERT_TRUE(options_->Set("metaservers", metaserver_->address()).ok());
      ASSERT_TRUE(options_->Set("secret-file", root_ + "/secret").ok());
      ASSERT_TRUE(options_->Set("socket-dir", root_ + "/sockets").ok());
      ASSERT_TRUE(options_->Set("address-file", root_ + "/address").ok());
      ASSERT_TRUE(options_->Set("inventory-interval", "1").ok());
      ASSERT_TRUE(options_->Set("garbage-keep", "0").ok());
      daemon_ = std::make_unique<ChunkserverDaemon>(thread_.loop(), *options_);
      Status st = daemon_->Start();
      ASSERT_TRUE(st.ok()) << st.ToString();
      NetClient::Options net;
      net.name = "chunkserver";
      net.addresses = {daemon_->address()};
      net.server_role = pb::HelloRequest::CHUNKSERVER;
      net.credentials = Credentials::Root(kSecret);
      client_ = std::make_unique<NetClient>(thread_.loop(), net);
    });
  }

  void On(const std::function<void()>& fn) { OnLoop(thread_.loop(), fn); }
  template <typename Fn>
  void Note(Fn fn) {
    std::lock_guard lock(mutex_);
    fn();
    changed_.notify_all();
  }
  template <typename Fn>
  void WaitFor(Fn condition) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), condition));
  }

  struct Got {
    Status status;
    uint64_t detail = 0;
    std::string body, payload;
  };
  static AnswerFn Into(const std::shared_ptr<std::promise<Got>>& promise) {
    return [promise](Answer a) {
      promise->set_value({a.status, a.detail, a.body, std::string(a.payload.view())});
    };
  }
  Got Call(Op op, const google::protobuf::MessageLite& request, const std::string& payload = {}) {
    auto promise = std::make_shared<std::promise<Got>>();
    thread_.loop().Post([&, promise] {
      client_->Enqueue({.op = op,
                        .request = &request,
                        .payload = Buffer::Copy(payload.data(), payload.size()),
                        .timeout = std::chrono::seconds(20),
                        .resend = true,
                        .done = Into(promise)});
    });
    return promise->get_future().get();
  }
  Got FromMetaserver(Op op, const google::protobuf::MessageLite& request) {
    auto promise = std::make_shared<std::promise<Got>>();
    thread_.loop().Post([&, promise] { connection_->Call(op, request, {}, Into(promise)); });
    return promise->get_future().get();
  }
  static void Ref(pb::ChunkRef* ref, uint64_t chunk, uint64_t version) {
    ref->set_volume(1);
    ref->set_chunk(chunk);
    ref->set_version(version);
  }
  // As the metaserver's layouts have it.
  pb::ChunkAccess Access(const pb::ChunkRef& ref) {
    return TestAccess{.key = DeriveKey(kSecret, ChunkserverKeyId(uuid_)), .clock = kDaemonClock, .ref = ref}
        .Signed();
  }
  Got Write(uint64_t chunk, uint64_t version, const std::string& data) {
    WaitFor([&] { return registrations_ != 0; });
    pb::ChunkWriteRequest request;
    Ref(request.mutable_ref(), chunk, version);
    *request.mutable_access() = Access(request.ref());
    for (size_t at = 0; at < data.size(); at += kBlockSize) {
      request.add_block_crc(Crc32c(data.data() + at, std::min(kBlockSize, data.size() - at)));
    }
    return Call(Op::kChunkWrite, request, data);
  }
  Got Read(uint64_t chunk, uint64_t version, uint32_t length) {
    WaitFor([&] { return registrations_ != 0; });
    pb::ChunkReadRequest request;
    Ref(request.mutable_ref(), chunk, version);
    *request.mutable_access() = Access(request.ref());
    request.set_length(length);
    return Call(Op::kChunkRead, request);
  }

  const TempDir temp_;
  const std::string root_ = temp_.path();
  std::mutex mutex_;  // guards the counters
  std::condition_variable changed_;
  int registrations_ = 0, heartbeats_ = 0, reported_ = 0;
  std::string uuid_, address_;
  LoopThread thread_{"test-loop"};
  std::unique_ptr<Server> metaserver_;
  ConnectionPtr connection_;
  std::unique_ptr<ChunkserverOptions> options_;
  std::unique_ptr<ChunkserverDaemon> daemon_;
  std::unique_ptr<NetClient> client_;
};

TEST_F(DaemonTest, RegistersAndBeats) {
  WaitFor([&] { return registrations_ == 1 && heartbeats_ >= 2; });
  std::string address;
  std::ifstream(root_ + "/address") >> address;
  EXPECT_EQ(address, address_);
}

TEST_F(DaemonTest, ServesReadsWritesSyncAndSeek) {
  const std::string data(1 << 20, 'd');
  Got got = Write(7, 1, data);
  ASSERT_TRUE(got.status.ok()) << got.status.ToString();
  got = Read(7, 1, 1 << 20);
  ASSERT_TRUE(got.status.ok()) << got.status.ToString();
  EXPECT_EQ(got.payload, data);
  pb::ChunkSyncRequest sync;
  sync.set_volume(1);
  sync.add_chunk(7);
  EXPECT_TRUE(Call(Op::kChunkSync, sync).status.ok());
  pb::ChunkSeekRequest seek;
  Ref(seek.mutable_ref(), 7, 1);
  *seek.mutable_access() = Access(seek.ref());
  got = Call(Op::kChunkSeek, seek);
  pb::ChunkSeekReply reply;
  ASSERT_TRUE(got.status.ok() && reply.ParseFromString(got.body));
  EXPECT_EQ(reply.hole(), 1u << 20);
  got = Read(7, 2, 10);
  EXPECT_EQ(got.status.code(), Code::kStaleChunk);
  EXPECT_EQ(got.detail, 1u);
}

TEST_F(DaemonTest, DoesWhatTheMetaserverOrders) {
  WaitFor([&] { return registrations_ == 1; });
  ASSERT_TRUE(Write(7, 1, "hello").status.ok());
  pb::MutateChunkRequest mutate;
  mutate.set_volume(1);
  mutate.set_chunk(7);
  mutate.set_from(1);
  mutate.set_to(2);
  auto* step = mutate.add_step();
  step->set_kind(pb::ChunkStep::TRUNCATE);
  step->set_offset(2);
  EXPECT_TRUE(FromMetaserver(Op::kMutateChunk, mutate).status.ok());
  EXPECT_EQ(Read(7, 2, 5).payload, std::string("he\0\0\0", 5));
  pb::DeleteChunksRequest remove;
  remove.set_volume(1);
  remove.add_chunk(7);
  EXPECT_TRUE(FromMetaserver(Op::kDeleteChunks, remove).status.ok());
  EXPECT_EQ(Read(7, 2, 5).status.code(), Code::kStaleChunk);
}

TEST_F(DaemonTest, AClientMayNotMutate) {
  pb::MutateChunkRequest mutate;
  EXPECT_EQ(Call(Op::kMutateChunk, mutate).status.err(), EPERM);
}

TEST_F(DaemonTest, DeletesWhatTheInventoryShowsToBeGarbage) {
  ASSERT_TRUE(Write(666, 1, "garbage").status.ok());
  ASSERT_TRUE(Write(7, 1, "kept").status.ok());
  for (;;) {  // the inventory comes round every second
    int seen = 0;
    {
      std::lock_guard lock(mutex_);
      seen = reported_;
    }
    if (!Read(666, 1, 7).status.ok()) break;
    WaitFor([&] { return reported_ > seen; });
  }
  EXPECT_EQ(Read(7, 1, 4).payload, "kept");
}

TEST_F(DaemonTest, RestartKeepsIdentityAndData) {
  WaitFor([&] { return registrations_ == 1; });
  const std::string uuid = uuid_;
  ASSERT_TRUE(Write(7, 1, "kept").status.ok());
  Start();
  WaitFor([&] { return registrations_ == 2; });
  EXPECT_EQ(uuid_, uuid);
  EXPECT_EQ(Read(7, 1, 4).payload, "kept");
}

TEST_F(DaemonTest, WithoutATokenAChunkIsNeitherReadNorWritten) {
  ASSERT_TRUE(Write(7, 1, "kept").status.ok());
  pb::ChunkReadRequest read;
  Ref(read.mutable_ref(), 7, 1);
  read.set_length(4);
  Got got = Call(Op::kChunkRead, read);
  EXPECT_EQ(got.status.err(), EACCES);
  EXPECT_TRUE(got.payload.empty());
  pb::ChunkWriteRequest write;
  Ref(write.mutable_ref(), 7, 1);
  write.add_block_crc(Crc32c("evil", 4));
  EXPECT_EQ(Call(Op::kChunkWrite, write, "evil").status.err(), EACCES);
  pb::ChunkSeekRequest seek;
  Ref(seek.mutable_ref(), 7, 1);
  EXPECT_EQ(Call(Op::kChunkSeek, seek).status.err(), EACCES);
  EXPECT_EQ(Read(7, 1, 4).payload, "kept");
}

TEST_F(DaemonTest, AFencedSessionWritesNoMore) {
  ASSERT_TRUE(Write(7, 1, "kept").status.ok());
  pb::FenceSessionsRequest fence;
  fence.set_volume(1);
  fence.set_clock(kDaemonClock);
  auto* f = fence.add_fence();
  f->set_session(5);
  f->set_serial(2);
  f->set_expires_ms(UINT64_MAX / 2);
  ASSERT_TRUE(FromMetaserver(Op::kFenceSessions, fence).status.ok());
  EXPECT_EQ(Write(7, 1, "late").status.code(), Code::kTokenRefused);
  EXPECT_EQ(Read(7, 1, 4).status.code(), Code::kTokenRefused);
}

TEST_F(DaemonTest, ManyOpsInFlight) {
  std::vector<std::shared_ptr<std::promise<Got>>> answers;
  const std::string data(8192, 'm');
  WaitFor([&] { return registrations_ == 1; });
  On([&] {
    for (uint64_t i = 0; i < 2000; ++i) {
      pb::ChunkWriteRequest request;
      Ref(request.mutable_ref(), 1 + i % 20, 1);
      *request.mutable_access() = Access(request.ref());
      request.set_offset(i * 8192);
      request.add_block_crc(Crc32c(data.data(), 4096));
      request.add_block_crc(Crc32c(data.data(), 4096));
      answers.push_back(std::make_shared<std::promise<Got>>());
      client_->Enqueue({.op = Op::kChunkWrite,
                        .request = &request,
                        .payload = Buffer::Copy(data.data(), data.size()),
                        .timeout = std::chrono::seconds(20),
                        .resend = true,
                        .done = Into(answers.back())});
    }
  });
  for (auto& a : answers) {
    Got got = a->get_future().get();
    ASSERT_TRUE(got.status.ok()) << got.status.ToString();
  }
}

}  // namespace
}  // namespace kfs

// The daemon and the metaservers of a cluster: which it registers with, what it remembers of them, and how it
// shares itself among them.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <thread>

#include "chunkserver/daemon.h"
#include "chunkserver/inventory.h"
#include "chunkserver/known_metaservers.h"
#include "common/crc32c.h"
#include "common/keys.h"
#include "common/secret.h"
#include "proto/op_types.h"
#include "rpc/net_client.h"
#include "rpc/server.h"
#include "tests/unit/chunkserver/test_access.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/rpc/on_loop.h"

namespace kfs {
namespace {

constexpr char kLinksSecret[] = "0123456789abcdef0123456789abcdef";
constexpr uint64_t kLinksClock = 9;

// Everything of it on the loop's thread.
struct FakeMetaserver {
  FakeMetaserver(EventLoop& l, std::string cluster) : loop(l), cluster_id(std::move(cluster)) { Start(); }
  void Start() {
    server = std::make_unique<Server>(loop, ServerIdentity{.role = pb::HelloRequest::METASERVER,
                                                           .cluster_id = cluster_id,
                                                           .keyring = RootKeyring(kLinksSecret)});
    server->Handle<rpc::RegisterChunkserver>([this](IncomingCallPtr call, const auto& request) {
      ++attempts;
      instance = request.instance();
      uuid = request.uuid();
      if (!refuse.ok()) return call->Fail(refuse);
      connection = call->connection();
      ++registrations;
      pb::RegisterChunkserverReply reply;
      reply.set_server_id(1);
      reply.set_heartbeat_ms(100);
      reply.set_clock(kLinksClock);
      reply.set_clock_ms(1000);
      reply.set_generation(generation);
      for (const auto& m : members) reply.add_metaserver(m);
      if (terms) *reply.mutable_terms() = *terms;
      call->Reply(reply);
    });
    server->Handle<rpc::Heartbeat>([this](IncomingCallPtr call, const auto& request) {
      ++heartbeats;
      told = request.generation();
      pb::HeartbeatReply reply;
      reply.set_generation(generation);
      for (const auto& m : members) reply.add_metaserver(m);
      if (terms) *reply.mutable_terms() = *terms;
      call->Reply(reply);
    });
    server->Handle<rpc::ReportChunks>([this](IncomingCallPtr call, const auto& request) {
      ++reports;
      pb::ReportChunksReply reply;
      for (const auto& held : request.held()) {
        if (held.chunk() == garbage) reply.add_garbage(held.chunk());
      }
      call->Reply(reply);
    });
    ASSERT_TRUE(server->Listen(address).ok());
    address = server->address();
  }
  void Stop() {
    connection.reset();
    server.reset();
  }
  bool linked() const { return server != nullptr && !server->connections().empty(); }

  EventLoop& loop;
  const std::string cluster_id;
  std::string address = "127.0.0.1:0";
  std::unique_ptr<Server> server;
  ConnectionPtr connection;
  Status refuse;
  uint64_t generation = 0, garbage = 0, told = 0;
  std::optional<pb::ChunkserverTerms> terms;
  std::vector<std::string> members;
  std::string instance, uuid;
  int attempts = 0, registrations = 0, heartbeats = 0, reports = 0;
};

class LinksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteSecretFile(root_ + "/secret", kLinksSecret).ok());
    for (int i = 0; i < 3; ++i)
      On([&] { m_.push_back(std::make_unique<FakeMetaserver>(thread_.loop(), "c")); });
  }
  void TearDown() override {
    On([&] {
      client_.reset();
      daemon_.reset();
      m_.clear();
    });
  }
  // Daemon with metaserver `i` in its configuration.
  void Start(size_t i) {
    On([&] {
      daemon_.reset();
      options_ = std::make_unique<ChunkserverOptions>();
      ASSERT_TRUE(options_->Set("data-dirs", root_ + "/d0").ok());
      ASSERT_TRUE(options_->Set("metaservers", m_[i]->address).ok());
      ASSERT_TRUE(options_->Set("secret-file", root_ + "/secret").ok());
      ASSERT_TRUE(options_->Set("socket-dir", root_ + "/sockets").ok());
      ASSERT_TRUE(options_->Set("inventory-interval", "1").ok());
      ASSERT_TRUE(options_->Set("garbage-keep", "0").ok());
      daemon_ = std::make_unique<ChunkserverDaemon>(thread_.loop(), *options_);
      daemon_->OnMustEnd([this] { ++ended_; });
      Status st = daemon_->Start();
      ASSERT_TRUE(st.ok()) << st.ToString();
    });
  }
  // From now on all say so.
  void SetMembers(uint64_t generation, std::vector<size_t> which) {
    On([&] {
      for (auto& m : m_) {
        m->generation = generation;
        m->members.clear();
        for (size_t i : which) m->members.push_back(m_[i]->address);
      }
    });
  }
  void On(const std::function<void()>& fn) { OnLoop(thread_.loop(), fn); }
  void Until(const std::function<bool()>& fn) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (bool yes = false; !yes;) {
      On([&] { yes = fn(); });
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "the condition did not come true";
      std::this_thread::yield();
    }
  }
  Answer Ask(size_t i, Op op, const google::protobuf::MessageLite& request) {
    std::promise<Answer> promise;
    On([&] {
      m_[i]->connection->Call(op, request, {}, [&promise](Answer a) { promise.set_value(std::move(a)); });
    });
    return promise.get_future().get();
  }
  Status OfClient(Op op, const google::protobuf::MessageLite& request, const std::string& payload = {}) {
    std::promise<Status> promise;
    On([&] {
      NetClient::Options net;
      net.name = "chunkserver";
      net.addresses = {daemon_->address()};
      net.server_role = pb::HelloRequest::CHUNKSERVER;
      net.credentials = Credentials::Root(kLinksSecret);
      if (client_ == nullptr) client_ = std::make_unique<NetClient>(thread_.loop(), net);
      client_->Enqueue({.op = op,
                        .request = &request,
                        .payload = Buffer::Copy(payload.data(), payload.size()),
                        .timeout = std::chrono::seconds(20),
                        .resend = true,
                        .done = [&promise](Answer a) { promise.set_value(a.status); }});
    });
    return promise.get_future().get();
  }
  pb::ChunkAccess Access(const pb::ChunkRef& ref) {
    std::string uuid;
    On([&] {
      for (const auto& m : m_) uuid = m->uuid.empty() ? uuid : m->uuid;
    });
    return TestAccess{
        .key = DeriveKey(kLinksSecret, ChunkserverKeyId(uuid)), .clock = kLinksClock, .ref = ref}
        .Signed();
  }
  Status Write(uint64_t chunk) {
    pb::ChunkWriteRequest request;
    request.mutable_ref()->set_volume(1);
    request.mutable_ref()->set_chunk(chunk);
    request.mutable_ref()->set_version(1);
    *request.mutable_access() = Access(request.ref());
    request.add_block_crc(Crc32c("data", 4));
    return OfClient(Op::kChunkWrite, request, "data");
  }
  Status Read(uint64_t chunk, uint64_t version) {
    pb::ChunkReadRequest request;
    request.mutable_ref()->set_volume(1);
    request.mutable_ref()->set_chunk(chunk);
    request.mutable_ref()->set_version(version);
    *request.mutable_access() = Access(request.ref());
    request.set_length(4);
    return OfClient(Op::kChunkRead, request);
  }

  const TempDir temp_;
  const std::string root_ = temp_.path();
  int ended_ = 0;
  LoopThread thread_{"test-loop"};
  std::vector<std::unique_ptr<FakeMetaserver>> m_;
  std::unique_ptr<ChunkserverOptions> options_;
  std::unique_ptr<ChunkserverDaemon> daemon_;
  std::unique_ptr<NetClient> client_;
};

TEST_F(LinksTest, RegistersWithEveryMemberThatOneTells) {
  SetMembers(1, {0, 1, 2});
  Start(0);
  Until([&] { return std::ranges::all_of(m_, [](const auto& m) { return m->heartbeats >= 2; }); });
  On([&] {
    for (const auto& m : m_) EXPECT_EQ(m->registrations, 1);  // none was closed by another
  });
}

TEST_F(LinksTest, NewMembersCountAndFormerOnesAreLeft) {
  SetMembers(1, {0, 1});
  Start(0);
  Until([&] { return m_[0]->registrations == 1 && m_[1]->registrations == 1; });
  SetMembers(2, {1, 2});  // also without the one of the configuration
  Until([&] { return m_[1]->linked() && m_[2]->registrations == 1 && !m_[0]->linked(); });
  On([&] {
    m_[0]->attempts = 0;
    EXPECT_TRUE(daemon_->registered());
  });
}

TEST_F(LinksTest, AnOlderGenerationChangesNothing) {
  SetMembers(5, {0, 1});
  Start(0);
  Until([&] { return m_[1]->registrations == 1; });
  int before = 0;
  On([&] {
    m_[1]->generation = 4;
    m_[1]->members = {m_[2]->address};
    before = m_[1]->heartbeats;
  });
  Until([&] { return m_[1]->heartbeats >= before + 3; });
  On([&] {
    EXPECT_TRUE(m_[0]->linked());
    EXPECT_EQ(m_[2]->attempts, 0);
  });
}

TEST_F(LinksTest, ALinkThatWorksIsKeptUntilAMemberHasUs) {
  On([&] { m_[1]->refuse = Status(EAGAIN, Code::kTryAgain, "the change is under way"); });
  SetMembers(1, {1});
  Start(0);
  Until([&] { return m_[1]->attempts >= 3 && m_[0]->heartbeats >= 2; });
  On([&] {
    EXPECT_TRUE(m_[0]->linked());
    m_[1]->refuse = Status();
  });
  Until([&] { return m_[1]->registrations == 1 && !m_[0]->linked(); });
}

TEST_F(LinksTest, ARestartFindsTheClusterWithoutTheMachineOfItsConfiguration) {
  SetMembers(3, {0, 1});
  Start(0);
  Until([&] { return m_[1]->registrations == 1; });
  const std::string file = root_ + "/d0/kfs-disk.metaservers";
  Until([&] { return std::filesystem::exists(file); });
  On([&] {
    daemon_.reset();
    m_[0]->Stop();
  });
  Start(0);
  Until([&] { return m_[1]->registrations == 2 && daemon_->registered(); });
}

TEST_F(LinksTest, ADamagedListIsPassedOver) {
  SetMembers(3, {0, 1});
  Start(0);
  const std::string file = root_ + "/d0/kfs-disk.metaservers";
  Until([&] { return m_[1]->registrations == 1 && std::filesystem::exists(file); });
  On([&] { daemon_.reset(); });
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 3);
  Start(0);
  Until([&] { return m_[0]->registrations == 2 && m_[1]->registrations == 2; });
}

TEST_F(LinksTest, IsRegisteredOnceAnAdministratorHasAcceptedIt) {
  On([&] { m_[0]->refuse = Status(EACCES, "not accepted yet"); });
  Start(0);
  Until([&] { return m_[0]->attempts >= 3; });
  On([&] {
    EXPECT_FALSE(daemon_->registered());
    m_[0]->refuse = Status();
  });
  Until([&] { return daemon_->registered(); });
}

TEST_F(LinksTest, EndsWhenOneMemberSaysThatItRunsTwice) {
  On([&] { m_[1]->refuse = Status(EEXIST, Code::kRunsTwice, "chunkserver u runs at h:1 already"); });
  SetMembers(1, {0, 1});
  Start(0);
  Until([&] { return ended_ == 1; });
}

TEST_F(LinksTest, TellsWhoeverAsksWhoItIs) {
  SetMembers(1, {0, 1});
  Start(0);
  Until([&] { return m_[0]->registrations == 1 && m_[1]->registrations == 1; });
  const auto told = [&] {
    std::promise<Answer> promise;
    On([&] {
      NetClient::Options net;
      net.name = "chunkserver";
      net.addresses = {daemon_->address()};
      net.role = pb::HelloRequest::METASERVER;
      net.server_role = pb::HelloRequest::CHUNKSERVER;
      net.credentials = Credentials::Root(kLinksSecret);
      client_ = std::make_unique<NetClient>(thread_.loop(), net);
      client_->Enqueue<rpc::Ping>({}, [&promise](Answer a) { promise.set_value(std::move(a)); });
    });
    pb::PingReply reply;
    EXPECT_TRUE(ParseAnswer(promise.get_future().get(), &reply).ok());
    return reply;
  };
  const pb::PingReply first = told();
  EXPECT_EQ(first.uuid().size(), 36u);
  EXPECT_FALSE(first.instance().empty());
  On([&] {
    EXPECT_EQ(m_[0]->instance, first.instance());
    EXPECT_EQ(m_[1]->instance, first.instance());
  });
  Start(0);
  const pb::PingReply second = told();
  EXPECT_EQ(second.uuid(), first.uuid());
  EXPECT_NE(second.instance(), first.instance());
}

TEST_F(LinksTest, ObeysEveryMember) {
  SetMembers(1, {0, 1, 2});
  Start(0);
  Until([&] { return std::ranges::all_of(m_, [](const auto& m) { return m->registrations == 1; }); });
  ASSERT_TRUE(Write(7).ok());
  pb::MutateChunkRequest mutate;
  mutate.set_volume(1);
  mutate.set_chunk(7);
  mutate.set_from(1);
  mutate.set_to(2);
  mutate.add_step()->set_kind(pb::ChunkStep::TRUNCATE);
  EXPECT_TRUE(Ask(1, Op::kMutateChunk, mutate).status.ok());
  EXPECT_TRUE(Ask(2, Op::kMutateChunk, mutate).status.ok());  // the same once more: done already
  EXPECT_TRUE(Read(7, 2).ok());
  pb::DeleteChunksRequest remove;
  remove.set_volume(1);
  remove.add_chunk(7);
  EXPECT_TRUE(Ask(2, Op::kDeleteChunks, remove).status.ok());
  EXPECT_EQ(Read(7, 2).code(), Code::kStaleChunk);
}

TEST_F(LinksTest, TellsItsDisksWhenAsked) {
  Start(0);
  Until([&] { return m_[0]->registrations == 1; });
  const Answer answer = Ask(0, Op::kQueryDisks, pb::QueryDisksRequest());
  pb::QueryDisksReply reply;
  ASSERT_TRUE(ParseAnswer(answer, &reply).ok());
  ASSERT_EQ(reply.disk_size(), 1);
  EXPECT_EQ(reply.disk(0).path(), root_ + "/d0");
  EXPECT_GT(reply.disk(0).capacity(), 0u);
  EXPECT_TRUE(reply.disk(0).error().empty());
  EXPECT_GT(reply.rss_bytes(), 0u);
}

TEST_F(LinksTest, FollowsTheOptionsOfTheClusterFromEachSideTheyComeFrom) {
  SetMembers(3, {0, 1});
  On([&] {
    m_[0]->terms.emplace();
    (*m_[0]->terms->mutable_option())["chunkserver-reserve"] = 1 << 20;
  });
  Start(0);
  const auto available = [&] {
    const Answer answer = Ask(0, Op::kQueryDisks, pb::QueryDisksRequest());
    pb::QueryDisksReply reply;
    EXPECT_TRUE(ParseAnswer(answer, &reply).ok());
    return reply.disk_size() == 1 ? std::pair(reply.disk(0).available(), reply.generation())
                                  : std::pair(0ul, 0ul);
  };
  Until([&] { return m_[0]->registrations == 1 && m_[1]->registrations == 1; });
  const auto [before, generation] = available();
  EXPECT_EQ(generation, 3u);
  // Asked and told by the other one.
  const uint64_t much = before / 3;
  pb::PrepareConfRequest prepare;
  prepare.set_generation(4);
  (*prepare.mutable_terms()->mutable_option())["chunkserver-reserve"] = static_cast<int64_t>(1) << 50;
  const Status refused = Ask(1, Op::kPrepareConf, prepare).status;
  EXPECT_EQ(refused.err(), EINVAL);
  EXPECT_NE(refused.message().find("more than half of its disk"), std::string::npos) << refused.message();
  (*prepare.mutable_terms()->mutable_option())["chunkserver-reserve"] = static_cast<int64_t>(much);
  EXPECT_TRUE(Ask(1, Op::kPrepareConf, prepare).status.ok());
  EXPECT_EQ(available().second, 3u);
  pb::LearnConfRequest learn;
  learn.set_generation(4);
  *learn.mutable_terms() = prepare.terms();
  EXPECT_TRUE(Ask(1, Op::kLearnConf, learn).status.ok());
  EXPECT_EQ(available().second, 4u);
  EXPECT_LT(available().first, before - much / 2);
  // Or by a heartbeat's answer.
  On([&] {
    m_[1]->generation = 5;
    m_[1]->terms.emplace();
  });
  Until([&] { return m_[1]->told >= 5; });
  EXPECT_EQ(available().second, 5u);
  EXPECT_GT(available().first, before - much / 2);
}

TEST_F(LinksTest, GarbageOfAMetaserverThatIsBehindIsKept) {
  SetMembers(2, {0, 1});
  On([&] {
    m_[1]->generation = 1;
    m_[1]->garbage = 7;
    m_[0]->garbage = 8;
  });
  Start(0);
  Until([&] { return m_[0]->registrations == 1 && m_[1]->registrations == 1; });
  ASSERT_TRUE(Write(7).ok());
  ASSERT_TRUE(Write(8).ok());
  int before = 0;
  On([&] { before = m_[1]->reports; });
  Until([&] { return m_[1]->reports >= before + 2; });
  while (Read(8, 1).ok()) std::this_thread::yield();  // the inventory comes round every second
  EXPECT_TRUE(Read(7, 1).ok());
}

TEST(InventoryTurnsTest, OneAtATimeInTheOrderOfAsking) {
  InventoryTurns turns;
  std::string log;
  int a = 0, b = 0, c = 0;
  turns.Ask(&a, [&] { log += 'a'; });
  turns.Ask(&b, [&] { log += 'b'; });
  turns.Ask(&b, [&] { log += 'x'; });
  turns.Ask(&c, [&] { log += 'c'; });
  EXPECT_EQ(log, "a");
  turns.Leave(&b);  // gives up waiting
  EXPECT_EQ(log, "a");
  turns.Leave(&a);
  EXPECT_EQ(log, "ac");
  turns.Leave(&c);
  turns.Ask(&b, [&] { log += 'b'; });
  EXPECT_EQ(log, "acb");
}

}  // namespace
}  // namespace kfs

// A chunkserver that is not where it says: the metaserver finds out and says so.
#include "metaserver/chunks/reach_check.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "meta_fixture.h"
#include "rpc/server.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/metaserver/registers.h"
#include "tests/unit/rpc/on_loop.h"

namespace kfs::meta {
namespace {

constexpr char kReachSecret[] = "0123456789abcdef0123456789abcdef";

// The machine's, and as much later as the test says.
class LaterClock : public SystemClock {
 public:
  MonoTime MonoNow() const override {
    return SystemClock::MonoNow() + std::chrono::milliseconds(later_ms.load());
  }
  std::atomic<int64_t> later_ms{0};
};

class ReachCheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Db::Open(dir_ + "/cluster", "cluster", memory_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    db_ = std::move(*opened);
    OnLoop(thread_.loop(), [&] {
      auto links = std::make_unique<TestLinks>(
          [](ServerId, Op, const google::protobuf::MessageLite&, const TestLinks::Done&) {});
      servers_ = std::make_unique<Chunkservers>(*db_, clock_, SystemRandom(), std::move(links));
      pb::ClusterConf conf;
      conf.add_chunkserver()->set_id(1);
      conf.mutable_chunkserver(0)->set_uuid("u");
      servers_->Configure(conf);
      check_ =
          std::make_unique<ReachCheck>(thread_.loop(), clock_, *servers_, Credentials::Root(kReachSecret));
    });
  }
  void TearDown() override {
    OnLoop(thread_.loop(), [&] {
      check_.reset();
      there_.reset();
      servers_.reset();
    });
    db_.reset();
  }
  // It says that it is at `address`.
  void Register(const std::string& address) {
    OnLoop(thread_.loop(), [&] {
      pb::RegisterChunkserverRequest request;
      request.set_uuid("u");
      request.set_address(address);
      ASSERT_TRUE(Registers(*servers_, request));
    });
  }
  // Somebody with this uuid serves at a port of its own.
  std::string Serve(const std::string& uuid) {
    std::string at;
    OnLoop(thread_.loop(), [&] {
      there_ = std::make_unique<Server>(thread_.loop(), ServerIdentity{.role = pb::HelloRequest::CHUNKSERVER,
                                                                       .cluster_id = "c",
                                                                       .keyring = RootKeyring(kReachSecret),
                                                                       .uuid = uuid});
      ASSERT_TRUE(there_->Listen("127.0.0.1:0").ok());
      at = there_->address();
    });
    return at;
  }
  std::string Unreached() {
    std::string why;
    OnLoop(thread_.loop(), [&] { why = servers_->Find(ServerId(1))->unreached; });
    return why;
  }
  // Time goes on, until it is (not) known as unreached.
  bool Becomes(bool unreached) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < deadline) {
      clock_.later_ms += 5000;
      OnLoop(thread_.loop(), [&] { check_->OnTimer(); });
      if (Unreached().empty() != unreached) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }

  TempDir temp_;
  const std::string dir_ = temp_.path();
  DbMemory memory_{8 << 20};
  LaterClock clock_;
  LoopThread thread_{"reach"};
  std::unique_ptr<Db> db_;
  std::unique_ptr<Chunkservers> servers_;
  std::unique_ptr<ReachCheck> check_;
  std::unique_ptr<Server> there_;
};

TEST_F(ReachCheckTest, NothingListensWhereItSaysUntilSomethingDoes) {
  const std::string address = Serve("u");
  OnLoop(thread_.loop(), [&] { there_.reset(); });
  Register(address);
  ASSERT_TRUE(Becomes(true));
  EXPECT_NE(Unreached().find("not reached at " + address), std::string::npos) << Unreached();
  OnLoop(thread_.loop(), [&] {
    there_ = std::make_unique<Server>(thread_.loop(), ServerIdentity{.role = pb::HelloRequest::CHUNKSERVER,
                                                                     .cluster_id = "c",
                                                                     .keyring = RootKeyring(kReachSecret),
                                                                     .uuid = "u"});
    ASSERT_TRUE(there_->Listen(address).ok());
  });
  EXPECT_TRUE(Becomes(false));
}

TEST_F(ReachCheckTest, AnotherAnswersThere) {
  Register(Serve("another"));
  ASSERT_TRUE(Becomes(true));
  EXPECT_NE(Unreached().find("another chunkserver (another) answers there"), std::string::npos)
      << Unreached();
  // A new address is a new beginning.
  Register(Serve("u"));
  EXPECT_EQ(Unreached(), "");
}

}  // namespace
}  // namespace kfs::meta

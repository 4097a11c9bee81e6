// One door for requests, on connections that are taken and on those that are made (rpc/dispatcher.h).
#include "rpc/dispatcher.h"

#include "tests/unit/rpc/rpc_fixture.h"

namespace kfs {
namespace {

class DispatcherTest : public RpcFixture {
 protected:
  void SetUp() override {
    RpcFixture::SetUp();
    OnLoop(client_thread_.loop(), [&] {
      mount_ = std::make_shared<Dispatcher>(
          client_thread_.loop(),
          Dispatcher::Options{.role = pb::HelloRequest::CLIENT, .uuid = "mount", .instance = "1"});
    });
    MakeClient(ClientOptions());
  }
  void TearDown() override {
    RpcFixture::TearDown();
    OnLoop(client_thread_.loop(), [&] { mount_.reset(); });
  }
  // What the server gets for a request on the connection that the client has made.
  Answer AskClient(Op op, const google::protobuf::MessageLite& request) {
    OnLoop(client_thread_.loop(), [&] { client_->Serve(mount_); });
    EXPECT_TRUE(Send<rpc::Readlink>(pb::ReadlinkRequest()).get().status.ok());
    std::promise<Answer> answered;
    OnLoop(server_thread_.loop(), [&] {
      ASSERT_EQ(server_->connections().size(), 1u);
      (*server_->connections().begin())->Call(op, request, {}, [&](Answer a) {
        answered.set_value(std::move(a));
      });
    });
    return answered.get_future().get();
  }

  std::shared_ptr<Dispatcher> mount_;
};

TEST_F(DispatcherTest, ServesWhatComesOnAConnectionThatItsProgramHasMade) {
  mount_->Handle<rpc::DrainReleases>(
      [](const IncomingCallPtr& call, const pb::DrainReleasesRequest& request) {
        request.ino() == 7 ? call->Reply(pb::DrainReleasesReply()) : call->Fail(Status(ENOENT, "not seven"));
      });
  pb::DrainReleasesRequest request;
  request.set_ino(7);
  EXPECT_TRUE(AskClient(Op::kDrainReleases, request).status.ok());
  request.set_ino(8);
  EXPECT_EQ(AskClient(Op::kDrainReleases, request).status.err(), ENOENT);
  pb::PingReply ping;
  EXPECT_TRUE(ParseAnswer(AskClient(Op::kPing, pb::PingRequest()), &ping).ok());
  EXPECT_EQ(ping.uuid(), "mount");
  OnLoop(client_thread_.loop(), [&] {
    EXPECT_EQ(mount_->counts()->Of(Op::kDrainReleases)->errors.value(), 1u);
    EXPECT_EQ(mount_->counts()->Of(Op::kPing)->errors.value(), 0u);
  });
}

TEST_F(DispatcherTest, TheRoleOfTheServerThatWasConnectedToDecidesWhatItMaySend) {
  mount_->Handle(Op::kMutateChunk, [](const IncomingCallPtr& call) { call->Reply(pb::MutateChunkReply()); });
  mount_->Handle(Op::kChunkRead, [](const IncomingCallPtr& call) { call->Reply(pb::ChunkReadReply()); });
  EXPECT_TRUE(AskClient(Op::kMutateChunk, pb::MutateChunkRequest()).status.ok());  // of metaservers
  EXPECT_EQ(AskClient(Op::kChunkRead, pb::ChunkReadRequest()).status.err(), EPERM);
  OnLoop(client_thread_.loop(), [&] {
    NetClient::Options options = ClientOptions();
    options.server_role = pb::HelloRequest::CHUNKSERVER;
    options.credentials = Credentials::Root(kTestSecret);
    client_ = std::make_unique<NetClient>(client_thread_.loop(), options);
  });
  StopServer();
  StartServer("127.0.0.1:0", {.role = pb::HelloRequest::CHUNKSERVER, .keyring = RootKeyring(kTestSecret)});
  OnLoop(client_thread_.loop(), [&] { client_->SetAddresses({address_}); });
  EXPECT_EQ(AskClient(Op::kMutateChunk, pb::MutateChunkRequest()).status.err(), EPERM);
  OnLoop(client_thread_.loop(), [&] { EXPECT_EQ(mount_->refused(), 2u); });
}

TEST_F(DispatcherTest, AnOpThatIsNotServedIsToldFromOneThatIsNone) {
  const Answer none = AskClient(static_cast<Op>(9999), pb::PingRequest());
  EXPECT_EQ(none.status.err(), EOPNOTSUPP);
  EXPECT_EQ(none.status.message(), "there is no op 9999");
  const Answer other = AskClient(Op::kQueryDisks, pb::QueryDisksRequest());
  EXPECT_EQ(other.status.err(), EOPNOTSUPP);
  EXPECT_EQ(other.status.message(), "a client does not serve QueryDisks");
  OnLoop(client_thread_.loop(), [&] { EXPECT_EQ(mount_->refused(), 1u); });
}

// Here what the server serves: an op of a session on a connection without one.
TEST_F(DispatcherTest, AnOpThatNeedsASessionIsRefusedWithoutOne) {
  OnLoop(server_thread_.loop(), [&] {
    server_->dispatcher()->CheckSession([](const Connection& c) {
      return c.context != nullptr ? Status() : Status(EACCES, Code::kNotAttached, "no session");
    });
  });
  EXPECT_EQ(Send<rpc::Readlink>(pb::ReadlinkRequest()).get().status.code(), Code::kNotAttached);
  EXPECT_EQ(served_.load(), 0);
  pb::ChunkReadRequest read;
  EXPECT_TRUE(Send<rpc::ChunkRead>(read).get().status.ok());  // needs none
  OnLoop(server_thread_.loop(),
         [&] { (*server_->connections().begin())->context = std::make_shared<int>(0); });
  EXPECT_TRUE(Send<rpc::Readlink>(pb::ReadlinkRequest()).get().status.ok());
}

// What it is asked before each program starts.
TEST_F(DispatcherTest, IsCompleteWhenItServesTheOpsOfItsRoleAndNoOthers) {
  EXPECT_EQ(mount_->Complete().err(), ENOSYS);
  EXPECT_NE(mount_->Complete().message().find("without a handler: DrainReleases;"), std::string::npos)
      << mount_->Complete().message();
  mount_->Handle(Op::kDrainReleases, [](const IncomingCallPtr&) {});
  EXPECT_TRUE(mount_->Complete().ok()) << mount_->Complete().message();
  mount_->Handle(Op::kMkdir, [](const IncomingCallPtr&) {});
  EXPECT_NE(mount_->Complete().message().find("of others: Mkdir"), std::string::npos)
      << mount_->Complete().message();
}

}  // namespace
}  // namespace kfs

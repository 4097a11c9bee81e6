#include "rpc/net_client.h"

#include "tests/unit/rpc/rpc_fixture.h"

namespace kfs {
namespace {

class NetClientTest : public RpcFixture {
 protected:
  pb::ReadlinkRequest Request(uint64_t ino) {
    pb::ReadlinkRequest r;
    r.set_ino(ino);
    return r;
  }
  std::string Target(Answer a) {
    pb::ReadlinkReply reply;
    Status s = ParseAnswer(a, &reply);
    return s.ok() ? reply.target() : s.ToString();
  }
};

TEST_F(NetClientTest, ManyCallsInFlightEachGetTheirOwnAnswer) {
  MakeClient(ClientOptions());
  std::vector<std::future<Answer>> answers;
  for (uint64_t i = 0; i < 500; ++i) answers.push_back(Send<rpc::Readlink>(Request(i)));
  for (uint64_t i = 0; i < 500; ++i) EXPECT_EQ(Target(answers[i].get()), "target of " + std::to_string(i));
}

TEST_F(NetClientTest, CallsAreSentAgainAfterTheConnectionIsLost) {
  MakeClient(ClientOptions());
  swallow_ = 3;
  EXPECT_EQ(Target(Send<rpc::Readlink>(Request(5)).get()), "target of 5");
  EXPECT_GE(served_.load(), 4);
}

TEST_F(NetClientTest, WaitsForAServerThatIsAway) {
  MakeClient(ClientOptions());
  EXPECT_EQ(Target(Send<rpc::Readlink>(Request(1)).get()), "target of 1");
  StopServer();
  auto a = Send<rpc::Readlink>(Request(2));
  StartServer(address_);
  EXPECT_EQ(Target(a.get()), "target of 2");
}

TEST_F(NetClientTest, TimeoutEndsACallWhoseServerIsAway) {
  StopServer();
  MakeClient(ClientOptions());
  Answer a = Send<rpc::Readlink>(Request(2), std::chrono::milliseconds(150)).get();
  EXPECT_EQ(a.status.err(), ETIMEDOUT);
  EXPECT_NE(a.status.message().find(address_), std::string::npos) << a.status.message();
  StartServer(address_);
}

TEST_F(NetClientTest, CallThatMustNotBeResentEndsWithTheConnection) {
  MakeClient(ClientOptions());
  swallow_ = 1;
  Answer a = Send<rpc::Readlink>(Request(2), {}, false).get();
  EXPECT_EQ(a.status.code(), Code::kConnectionLost);
}

TEST_F(NetClientTest, CancelEndsACallAtOnce) {
  MakeClient(ClientOptions());
  auto a = Send<rpc::Statfs>(pb::StatfsRequest());  // the server holds it
  OnLoop(client_thread_.loop(), [&] { EXPECT_TRUE(client_->Cancel(last_id_)); });
  EXPECT_EQ(a.get().status.err(), ECANCELED);
  OnLoop(client_thread_.loop(), [&] { EXPECT_FALSE(client_->Cancel(last_id_)); });
}

TEST_F(NetClientTest, WrongSecretIsToldAndFinal) {
  auto options = ClientOptions();
  options.credentials = Credentials::Root("quite another secret");
  MakeClient(options);
  Answer a = Send<rpc::Readlink>(Request(1)).get();
  EXPECT_EQ(a.status.code(), Code::kBadProof);
  EXPECT_EQ(Send<rpc::Readlink>(Request(1)).get().status.code(), Code::kBadProof);
  EXPECT_EQ(served_.load(), 0);
}

TEST_F(NetClientTest, WrongClusterIsTold) {
  auto options = ClientOptions();
  options.cluster_id = "cluster-b";
  MakeClient(options);
  Answer a = Send<rpc::Readlink>(Request(1)).get();
  EXPECT_EQ(a.status.code(), Code::kWrongCluster);
  EXPECT_NE(a.status.message().find("cluster-a"), std::string::npos);
}

TEST_F(NetClientTest, ALinkThatMayNotGiveUpOutlivesARefusedGreeting) {
  auto options = ClientOptions();
  options.cluster_id = "cluster-b";
  options.may_give_up = false;
  MakeClient(options);
  auto answer = Send<rpc::Readlink>(Request(9));
  Status refusal;
  while (refusal.code() != Code::kWrongCluster)
    OnLoop(client_thread_.loop(), [&] { refusal = client_->last_error(); });
  StopServer();
  StartServer(
      address_,
      {.role = pb::HelloRequest::METASERVER, .cluster_id = "cluster-b", .keyring = RootKeyring(kTestSecret)});
  EXPECT_EQ(Target(answer.get()), "target of 9");
}

TEST_F(NetClientTest, OpOfAnotherRoleIsRefused) {
  MakeClient(ClientOptions());
  EXPECT_EQ(Send<rpc::VolumeList>(pb::VolumeListRequest()).get().status.err(), EPERM);
}

TEST_F(NetClientTest, NextAddressIsTriedWhenOneIsDead) {
  auto options = ClientOptions();
  options.addresses = {"127.0.0.1:1", address_};
  MakeClient(options);
  EXPECT_EQ(Target(Send<rpc::Readlink>(Request(9)).get()), "target of 9");
}

TEST_F(NetClientTest, WhatIsPendingGoesToTheNewAddresses) {
  auto options = ClientOptions();
  options.addresses = {"127.0.0.1:1"};
  MakeClient(options);
  auto a = Send<rpc::Readlink>(Request(9));
  OnLoop(client_thread_.loop(), [&] { client_->SetAddresses({address_}); });
  EXPECT_EQ(Target(a.get()), "target of 9");
  OnLoop(client_thread_.loop(), [&] { EXPECT_EQ(client_->address(), address_); });
}

TEST_F(NetClientTest, NewAddressesLeaveALiveConnectionAlone) {
  MakeClient(ClientOptions());
  EXPECT_EQ(Target(Send<rpc::Readlink>(Request(1)).get()), "target of 1");
  OnLoop(client_thread_.loop(), [&] { client_->SetAddresses({"127.0.0.1:1"}); });
  EXPECT_EQ(Target(Send<rpc::Readlink>(Request(2)).get()), "target of 2");
  OnLoop(client_thread_.loop(), [&] {
    EXPECT_EQ(client_->reconnects(), 0u);
    client_->SetAddresses({address_});
    client_->Reconnect(Status(EAGAIN, "test"));
  });
  EXPECT_EQ(Target(Send<rpc::Readlink>(Request(3)).get()), "target of 3");
  OnLoop(client_thread_.loop(), [&] { EXPECT_EQ(client_->reconnects(), 1u); });
}

TEST_F(NetClientTest, APauseAskedForReplacesOneBackoff) {
  auto options = ClientOptions();
  options.backoff_min = options.backoff_max = std::chrono::hours(1);
  MakeClient(options);
  int attempts = 0;
  OnLoop(client_thread_.loop(), [&] {
    client_->OnConnected([&](const ConnectionPtr&, NetClient::ReadyFn ready) {
      if (++attempts == 2) return ready(Status(), false);
      client_->RetryAfter(Duration::zero());
      ready(Status(EAGAIN, "elsewhere"), false);
    });
  });
  EXPECT_EQ(Target(Send<rpc::Readlink>(Request(9)).get()), "target of 9");
}

TEST_F(NetClientTest, NothingIsSentBeforeTheLinkIsAttached) {
  MakeClient(ClientOptions());
  std::promise<NetClient::ReadyFn> ready;
  OnLoop(client_thread_.loop(), [&] {
    client_->OnConnected([&](const ConnectionPtr&, NetClient::ReadyFn fn) { ready.set_value(fn); });
  });
  auto a = Send<rpc::Readlink>(Request(3));
  auto fn = ready.get_future().get();
  EXPECT_EQ(served_.load(), 0);
  OnLoop(client_thread_.loop(), [&] { fn(Status(), false); });
  EXPECT_EQ(Target(a.get()), "target of 3");
}

TEST_F(NetClientTest, ServerCanAskTheClient) {
  MakeClient(ClientOptions());
  OnLoop(client_thread_.loop(), [&] {
    auto mount = std::make_shared<Dispatcher>(client_thread_.loop(),
                                              Dispatcher::Options{.role = pb::HelloRequest::CLIENT});
    mount->Handle(Op::kDrainReleases,
                  [](const IncomingCallPtr& call) { call->Reply(pb::DrainReleasesReply()); });
    client_->Serve(mount);
  });
  EXPECT_EQ(Target(Send<rpc::Readlink>(Request(3)).get()), "target of 3");
  std::promise<Status> answered;
  OnLoop(server_thread_.loop(), [&] {
    ASSERT_EQ(server_->connections().size(), 1u);
    (*server_->connections().begin())
        ->Call(Op::kDrainReleases, pb::DrainReleasesRequest(), {},
               [&](Answer a) { answered.set_value(a.status); });
  });
  EXPECT_TRUE(answered.get_future().get().ok());
}

TEST_F(NetClientTest, CloseEndsPendingCallsWithCanceled) {
  MakeClient(ClientOptions());
  Send<rpc::Readlink>(Request(1)).get();  // connected: what follows is sent at once
  auto a = Send<rpc::Statfs>(pb::StatfsRequest());
  OnLoop(client_thread_.loop(), [&] { client_->Close(); });
  EXPECT_EQ(a.get().status.err(), ECANCELED);
  EXPECT_EQ(Send<rpc::Statfs>(pb::StatfsRequest()).get().status.err(), ECANCELED);
}

}  // namespace
}  // namespace kfs

// A server and a client loop in one process, over 127.0.0.1.
#pragma once

#include <gtest/gtest.h>

#include <future>

#include "proto/op_types.h"
#include "rpc/net_client.h"
#include "rpc/server.h"
#include "tests/unit/rpc/on_loop.h"

namespace kfs {

constexpr char kTestSecret[] = "0123456789abcdef-test";

class RpcFixture : public ::testing::Test {
 protected:
  void SetUp() override { StartServer("127.0.0.1:0"); }
  void TearDown() override {
    OnLoop(client_thread_.loop(), [&] { client_.reset(); });
    StopServer();
  }

  void StartServer(const std::string& address,
                   ServerIdentity identity = {.role = pb::HelloRequest::METASERVER,
                                              .cluster_id = "cluster-a",
                                              .keyring = RootKeyring(kTestSecret)}) {
    OnLoop(server_thread_.loop(), [&] {
      server_ = std::make_unique<Server>(server_thread_.loop(), identity);
      server_->Handle<rpc::Readlink>([this](IncomingCallPtr call, const pb::ReadlinkRequest& request) {
        ++served_;
        if (swallow_.load() > 0) {
          --swallow_;
          call->connection()->Close(Status(ECONNRESET, "test"));
          return;
        }
        pb::ReadlinkReply reply;
        reply.set_target("target of " + std::to_string(request.ino()));
        call->Reply(reply);
      });
      server_->Handle<rpc::ChunkRead>([](IncomingCallPtr call, const pb::ChunkReadRequest& request) {
        Buffer payload(request.length());
        if (request.length() != 0) memset(payload.data(), 'r', payload.size());
        call->Reply(pb::ChunkReadReply(), std::move(payload));
      });
      server_->Handle(Op::kChunkWrite, [](IncomingCallPtr call) {
        pb::ChunkWriteReply reply;
        reply.set_allocated(call->payload().size());
        call->Reply(reply);
      });
      server_->Handle(Op::kStatfs, [this](IncomingCallPtr call) { held_.push_back(std::move(call)); });
      Status s = server_->Listen(address);
      ASSERT_TRUE(s.ok()) << s.ToString();
      address_ = server_->address();
    });
  }
  void StopServer() {
    OnLoop(server_thread_.loop(), [&] {
      held_.clear();
      server_.reset();
    });
  }

  NetClient::Options ClientOptions() {
    return {.name = "test server",
            .addresses = {address_},
            .id = "client-1",
            .credentials = Credentials::Root(kTestSecret),
            .connect_timeout = std::chrono::seconds(2),
            .backoff_min = std::chrono::milliseconds(5),
            .backoff_max = std::chrono::milliseconds(50)};
  }
  void MakeClient(NetClient::Options options) {
    OnLoop(client_thread_.loop(),
           [&] { client_ = std::make_unique<NetClient>(client_thread_.loop(), options); });
  }

  template <typename Rpc>
  std::future<Answer> Send(const typename Rpc::Request& request, std::optional<Duration> timeout = {},
                           bool resend = true, Slices payload = {}) {
    auto promise = std::make_shared<std::promise<Answer>>();
    auto future = promise->get_future();
    OnLoop(client_thread_.loop(), [&] {
      last_id_ = client_->Enqueue({.op = Rpc::kOp,
                                   .request = &request,
                                   .payload = payload,
                                   .timeout = timeout,
                                   .resend = resend,
                                   .done = [promise](Answer a) { promise->set_value(std::move(a)); }});
    });
    return future;
  }

  LoopThread server_thread_{"test-server"};
  LoopThread client_thread_{"test-client"};
  std::unique_ptr<Server> server_;
  std::unique_ptr<NetClient> client_;
  std::vector<IncomingCallPtr> held_;  // server's loop
  std::string address_;
  uint64_t last_id_ = 0;
  std::atomic<int> served_{0};
  std::atomic<int> swallow_{0};  // so many requests are answered by closing the connection
};

}  // namespace kfs

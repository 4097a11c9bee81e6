#include "tests/unit/rpc/rpc_fixture.h"

namespace kfs {
namespace {

using ServerStopTest = RpcFixture;

// Both come in one piece: the second is there when the first one stops the server, and the first one's answer
// is still to be sent.
TEST_F(ServerStopTest, NoHandlerIsCalledAfterIt) {
  OnLoop(server_thread_.loop(), [this] {
    server_->Handle(Op::kStatfs, [this](IncomingCallPtr call) {
      call->Reply(pb::StatfsReply());
      server_->Stop();
    });
  });
  MakeClient(ClientOptions());
  const pb::ReadlinkRequest readlink;
  ASSERT_TRUE(Send<rpc::Readlink>(readlink).get().status.ok());
  ASSERT_EQ(served_, 1);
  std::promise<Answer> first, second;
  OnLoop(client_thread_.loop(), [&] {
    const pb::StatfsRequest statfs;
    client_->Enqueue({.op = Op::kStatfs, .request = &statfs, .resend = false, .done = [&first](Answer a) {
                        first.set_value(std::move(a));
                      }});
    client_->Enqueue(
        {.op = Op::kReadlink, .request = &readlink, .resend = false, .done = [&second](Answer a) {
           second.set_value(std::move(a));
         }});
  });
  EXPECT_TRUE(first.get_future().get().status.ok());
  EXPECT_FALSE(second.get_future().get().status.ok());
  EXPECT_EQ(served_, 1);
}

}  // namespace
}  // namespace kfs

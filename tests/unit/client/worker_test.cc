// ProtocolWorker: the queue, its wake-ups, and the trace.
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <set>
#include <sstream>

#include "client/meta_op.h"
#include "client/protocol_worker.h"
#include "tests/unit/client/fake_cluster.h"

namespace kfs::test {
namespace {

std::shared_ptr<MkdirOp> Mkdir(const std::string& name) {
  pb::MkdirRequest request;
  request.set_parent(1);
  request.set_name(name);
  request.set_mode(0755);
  return std::make_shared<MkdirOp>(Caller{}, std::move(request));
}

class Worker : public ::testing::Test {
 protected:
  void Start(KfsClient::Options options) {
    worker = std::make_shared<ProtocolWorker>(options, options.credentials);
    Waiter<Status> waiter;
    worker->loop().Post([&] { worker->Connect(waiter.Fn()); });
    ASSERT_TRUE(waiter.Get().ok());
  }
  ~Worker() override {
    if (worker == nullptr) return;
    Waiter<Status> waiter;
    worker->loop().Post([&] { worker->Shutdown(waiter.Fn()); });
    EXPECT_TRUE(waiter.Get().ok());
  }
  FakeCluster cluster;
  std::shared_ptr<ProtocolWorker> worker;
};

TEST_F(Worker, SyncRequestWaitsUntilDone) {
  Start(cluster.ClientOptions());
  auto op = Mkdir("d");
  auto request = std::make_shared<SyncRequest>(op);
  EXPECT_NE(worker->Execute(request), 0u);
  request->Wait();
  EXPECT_TRUE(op->status().ok());
  EXPECT_NE(op->reply.attr().ino(), 0u);
  EXPECT_EQ(op->op_id, 1u);
}

TEST_F(Worker, CallIdsAreUniqueAndStagesInOrder) {
  Start(cluster.ClientOptions());
  std::set<CallId> ids;
  std::vector<std::shared_ptr<MkdirOp>> ops;
  std::vector<std::shared_ptr<SyncRequest>> requests;
  for (int i = 0; i < 20; ++i) {
    ops.push_back(Mkdir(std::to_string(i)));
    requests.push_back(std::make_shared<SyncRequest>(ops.back()));
    ids.insert(worker->Execute(requests.back()));
  }
  EXPECT_EQ(ids.size(), 20u);
  for (auto& r : requests) r->Wait();
  for (auto& op : ops) {
    for (int s = KfsOp::kDequeued; s < KfsOp::kStageCount; ++s) {
      EXPECT_LE(op->stamp(static_cast<KfsOp::Stage>(s - 1)), op->stamp(static_cast<KfsOp::Stage>(s)));
    }
  }
}

TEST_F(Worker, OnItsOwnThreadNothingIsQueued) {
  Start(cluster.ClientOptions());
  Waiter<bool> waiter;
  worker->loop().Post([&] {
    auto op = Mkdir("d");
    worker->Execute(std::make_shared<AsyncRequest>(op, [](KfsOp&) {}));
    waiter.Fn()(op->stamp(KfsOp::kSent) != MonoTime{});  // sent before Execute returned
  });
  EXPECT_TRUE(waiter.Get());
}

TEST_F(Worker, TraceShowsTheStages) {
  std::ostringstream text;
  auto old = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("t", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)));
  auto options = cluster.ClientOptions();
  options.trace = true;
  Start(options);
  auto request = std::make_shared<SyncRequest>(Mkdir("d"));
  worker->Execute(request);
  request->Wait();
  spdlog::set_default_logger(old);
  EXPECT_NE(text.str().find(" op=Mkdir call=1 op_id=1 queued=0us dequeued="), std::string::npos)
      << text.str();
  EXPECT_NE(text.str().find("answered="), std::string::npos);
}

}  // namespace
}  // namespace kfs::test

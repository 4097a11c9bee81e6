// What is counted is what the page shows.
#include "rpc/metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <random>

#include "tests/unit/rpc/rpc_fixture.h"

namespace kfs {
namespace {

using std::chrono::microseconds;
using ::testing::HasSubstr;

constexpr MetricFamily kSeconds{MetricType::kHistogram, "test_seconds", "Time"};
constexpr MetricFamily kTotal{MetricType::kCounter, "test_total", "Things"};
constexpr MetricFamily kNow{MetricType::kGauge, "test_now", "Things there are"};

TEST(LatencyHistogram, ATimeIsKnownToATenth) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t micros = random() >> (64 - 1 - random() % 28);
    const size_t bucket = LatencyHistogram::BucketOf(micros);
    ASSERT_LT(bucket, LatencyHistogram::kBuckets);
    if (micros > LatencyHistogram::kMicrosMax) continue;
    const uint64_t last = LatencyHistogram::LastOf(bucket);
    ASSERT_GE(last, micros);
    ASSERT_LE(last - micros, micros / 10) << micros;
    if (bucket != 0) {
      ASSERT_LT(LatencyHistogram::LastOf(bucket - 1), micros);
    }
  }
}

TEST(LatencyHistogram, WhatTakesTooLongOrGoesBackwardsCountsAtTheEnds) {
  LatencyHistogram h;
  h.Observe(std::chrono::hours(100));
  h.Observe(microseconds(-5));
  EXPECT_EQ(h.count(), 2u);
  EXPECT_EQ(h.CountUpTo(microseconds(0)), 1u);
  EXPECT_EQ(h.CountUpTo(std::chrono::hours(1)), 2u);
  EXPECT_EQ(h.micros(), 100ull * 3600 * 1'000'000);
}

TEST(LatencyHistogram, BoundsCountWhatIsBelow) {
  LatencyHistogram h;
  for (int us = 1; us <= 10'000; ++us) h.Observe(microseconds(us));
  for (int us : {10, 100, 1000, 5000}) {
    EXPECT_NEAR(static_cast<double>(h.CountUpTo(microseconds(us))), us, 0.07 * us) << us;
  }
  EXPECT_EQ(h.count(), 10'000u);
}

TEST(MetricsPage, IsWhatPrometheusReads) {
  LatencyHistogram h;
  h.Observe(microseconds(15));
  h.Observe(microseconds(1500));
  Metrics metrics;
  metrics.Add([&](MetricsPage& page) {
    page.Add(kTotal, uint64_t{7}, {{"op", "Mk\"dir"}});
    page.Add(kTotal, uint64_t{8}, {{"op", "Rmdir"}});
    page.Add(kSeconds, h);
  });
  metrics.Add([&](MetricsPage& page) { page.Add(kNow, 0.5); });
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("# HELP test_total Things\n# TYPE test_total counter\n"
                              "test_total{op=\"Mk\\\"dir\"} 7\ntest_total{op=\"Rmdir\"} 8\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE test_now gauge\ntest_now 0.5\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE test_seconds histogram\n"));
  EXPECT_THAT(text, HasSubstr("test_seconds_count 2\n"));
  EXPECT_THAT(text, HasSubstr("test_seconds_bucket{le=\"+Inf\"} 2\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("test_seconds_bucket\\{le=\"1[.]?0*e-05\"\\} 0\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("test_seconds_bucket\\{le=\"0.001[0-9]*\"\\} 1\n"));
}

TEST(Metrics, WritingTakesTurnsWithTheLoopsOtherWork) {
  LoopThread thread("test-loop");
  Metrics metrics;
  std::vector<std::string> order;
  std::promise<std::string> written;
  OnLoop(thread.loop(), [&] {
    for (int i = 0; i < 2; ++i) {
      metrics.Add([&order, &thread, i](MetricsPage& page) {
        order.push_back(fmt::format("source {}", i));
        thread.loop().Post([&order, i] { order.push_back(fmt::format("other {}", i)); });
        page.Add(i == 0 ? kTotal : kNow, uint64_t{1});
      });
    }
    metrics.Write(thread.loop(), [&](std::string text) { written.set_value(std::move(text)); });
  });
  const std::string text = written.get_future().get();
  EXPECT_THAT(text, HasSubstr("test_total 1"));
  EXPECT_THAT(text, HasSubstr("test_now 1"));
  OnLoop(thread.loop(),
         [&] { EXPECT_THAT(order, ::testing::ElementsAre("source 0", "other 0", "source 1", "other 1")); });
}

TEST(Metrics, NothingIsAskedOnceItIsCleared) {
  LoopThread thread("test-loop");
  Metrics metrics;
  OnLoop(thread.loop(), [&] {
    metrics.Add([](MetricsPage&) { ADD_FAILURE() << "asked"; });
    metrics.Write(thread.loop(), [](const std::string&) { ADD_FAILURE() << "written"; });
    metrics.Clear();
  });
  OnLoop(thread.loop(), [] {});
}

class OpCountsTest : public RpcFixture {
 protected:
  uint64_t Count(Op op) {
    uint64_t n = 0;
    OnLoop(server_thread_.loop(), [&] { n = server_->counts()->Of(op)->seconds.count(); });
    return n;
  }
};

TEST_F(OpCountsTest, RequestsAreCountedWithTheirTime) {
  MakeClient(ClientOptions());
  pb::ReadlinkRequest request;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Send<rpc::Readlink>(request).get().status.ok());
  EXPECT_EQ(Count(Op::kReadlink), 5u);
  // One that waits 20 ms shows them.
  auto answer = Send<rpc::Statfs>(pb::StatfsRequest());
  bool held = false;
  while (!held) OnLoop(server_thread_.loop(), [&] { held = !held_.empty(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // what is measured
  OnLoop(server_thread_.loop(), [&] {
    held_.front()->Fail(Status(EIO, "test"));
    held_.clear();
  });
  EXPECT_EQ(answer.get().status.err(), EIO);
  OnLoop(server_thread_.loop(), [&] {
    const OpStats& stats = *server_->counts()->Of(Op::kStatfs);
    EXPECT_EQ(stats.seconds.count(), 1u);
    EXPECT_EQ(stats.errors.value(), 1u);
    EXPECT_GE(stats.seconds.micros(), 20'000u);
    EXPECT_EQ(stats.seconds.CountUpTo(std::chrono::milliseconds(15)), 0u);
    EXPECT_EQ(server_->counts()->Of(Op::kReadlink)->errors.value(), 0u);
  });
}

// The answer is made in the tick in which the request came: its time is not none.
TEST_F(OpCountsTest, WhatIsDoneWithinATickHasItsTime) {
  MakeClient(ClientOptions());
  OnLoop(server_thread_.loop(), [&] {
    server_->Handle(Op::kReadlink, [](IncomingCallPtr call) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(3);
      while (std::chrono::steady_clock::now() < end) {
      }
      call->Reply(pb::ReadlinkReply());
    });
  });
  EXPECT_TRUE(Send<rpc::Readlink>(pb::ReadlinkRequest()).get().status.ok());
  OnLoop(server_thread_.loop(),
         [&] { EXPECT_GE(server_->counts()->Of(Op::kReadlink)->seconds.micros(), 3'000u); });
}

TEST_F(OpCountsTest, UnknownOpsAreNotCounted) {
  OnLoop(server_thread_.loop(), [&] { EXPECT_EQ(server_->counts()->Of(static_cast<Op>(65535)), nullptr); });
}

}  // namespace
}  // namespace kfs

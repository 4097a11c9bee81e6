#include "client/bench/meta_bench.h"
#include "tests/unit/client/fake_cluster.h"

namespace kfs::test {
namespace {

TEST(MetaBench, DrivesAllPhasesAndCleansUp) {
  FakeCluster cluster;
  BenchOptions options;
  options.client = cluster.ClientOptions();
  options.clients = 1;
  options.in_flight = 8;
  options.seconds = 5;
  options.files_max = 100;
  auto result = RunMetaBench(options);
  ASSERT_TRUE(result.ok()) << result.status().ToString();
  ASSERT_EQ(result->phases.size(), 5u);
  for (const BenchPhase& p : result->phases) {
    EXPECT_EQ(p.ops, 100u) << p.name;
    EXPECT_EQ(p.errors, 0u) << p.name << ": " << p.first_error;
    EXPECT_LE(p.p50_us, p.p99_us);
  }
  EXPECT_NE(result->ToText().find("create"), std::string::npos);
  EXPECT_NE(result->ToJson().find("\"op\":\"unlink\""), std::string::npos);
  cluster.On([&] { EXPECT_TRUE(cluster.inodes[1].names.empty()); });
}

TEST(MetaBench, RefusesNonsense) {
  BenchOptions options;
  options.in_flight = 0;
  EXPECT_EQ(RunMetaBench(options).status().err(), EINVAL);
}

}  // namespace
}  // namespace kfs::test

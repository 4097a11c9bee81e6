#include "common/event_counts.h"

#include <gtest/gtest.h>

#include "common/log.h"

namespace kfs {
namespace {

uint64_t CountOf(const std::string& event, const std::string& level) {
  for (const EventCount& e : LoggedEvents()) {
    if (e.event == event) {
      EXPECT_EQ(e.level, level) << event;
      return e.count;
    }
  }
  return 0;
}

TEST(EventCounts, WarningsAndWorseAreCountedByTheirName) {
  ASSERT_TRUE(InitLog("test", "/dev/null", "info").ok());
  KFS_LOG(info, "test.nothing_special");
  KFS_LOG(warn, "test.worrying disk={}", 1);
  KFS_LOG(warn, "test.worrying disk={}", 2);
  KFS_LOG(error, "test.worrying disk={}", 3);
  EXPECT_EQ(CountOf("test.worrying", "error"), 3u);
  EXPECT_EQ(CountOf("test.nothing_special", ""), 0u);
  // The log is opened anew: what was counted stays.
  ReopenLog();
  KFS_LOG(error, "test.worrying disk={}", 4);
  EXPECT_EQ(CountOf("test.worrying", "error"), 4u);
}

TEST(EventCounts, NamesAreBounded) {
  ASSERT_TRUE(InitLog("test", "/dev/null", "info").ok());
  for (size_t i = 0; i < 2 * kEventsMax; ++i) KFS_LOG(warn, "test.event_{} x=1", i);
  KFS_LOG(warn, "Not A Name");
  KFS_LOG(warn, "{}", std::string(1000, 'x'));
  EXPECT_LE(LoggedEvents().size(), kEventsMax);
  EXPECT_GE(CountOf("other", "warning"), kEventsMax);
}

}  // namespace
}  // namespace kfs

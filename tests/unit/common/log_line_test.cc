#include "common/log_line.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace kfs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class LogLineTest : public testing::Test {
 protected:
  std::shared_ptr<spdlog::logger> Logger(bool prefix) {
    auto logger = std::make_shared<spdlog::logger>(
        "test", LineSink(std::make_shared<spdlog::sinks::ostream_sink_st>(out_), prefix));
    logger->set_pattern("%L %v");
    return logger;
  }
  std::ostringstream out_;
};

TEST_F(LogLineTest, WhateverAMessageHoldsItIsOneLine) {
  EXPECT_EQ(OneLine("session.opened host=a mountpoint=\"/b c\""),
            "session.opened host=a mountpoint=\"/b c\"");
  EXPECT_EQ(OneLine("host=a\nE kfs[1] all.is_lost\r\n\tx"), "host=a\\nE kfs[1] all.is_lost\\r\\n\\tx");
  EXPECT_EQ(OneLine(std::string_view("a\0b\x1b[31m\x7f", 9)), "a\\x00b\\x1b[31m\\x7f");
  EXPECT_EQ(OneLine("Größe 大"), "Größe 大");
  EXPECT_EQ(OneLine("\xff\xc3(\xe2\x80"), "\\xff\\xc3(\\xe2\\x80") << "not UTF-8";
  EXPECT_EQ(OneLine("a\u2028b\u2029c\u0085d\u009be"), "a\\u2028b\\u2029c\\u0085d\\x9be")
      << "line ends of others";
  EXPECT_LT(OneLine(std::string(1 << 20, 'x')).size(), 9000u);
  EXPECT_LT(OneLine(std::string(1 << 20, '\n')).size(), 9000u);
}

TEST_F(LogLineTest, ALoggerWritesOneLineAnEvent) {
  Logger(false)->warn("server.bad_proof host={}", "x\nE forged");
  EXPECT_EQ(out_.str(), "W server.bad_proof host=x\\nE forged\n");
}

TEST_F(LogLineTest, TheJournalLearnsHowGraveALineIs) {
  auto logger = Logger(true);
  logger->info("a");
  logger->warn("b");
  logger->error("c");
  EXPECT_EQ(out_.str(), "<6>I a\n<4>W b\n<3>E c\n");
}

TEST_F(LogLineTest, OneKindDoesNotFillTheLog) {
  LogLimiter limiter;
  uint64_t missing = 0;
  const LogLimiter::Time begin{seconds(100)};
  for (uint32_t i = 0; i < LogLimiter::kBurst; ++i)
    ASSERT_TRUE(limiter.May(spdlog::level::warn, "server.bad_input", begin, &missing));
  for (int i = 0; i < 1000; ++i)
    ASSERT_FALSE(limiter.May(spdlog::level::warn, "server.bad_input", begin + milliseconds(1), &missing));
  EXPECT_TRUE(limiter.May(spdlog::level::warn, "other", begin, &missing)) << "others are not held up";
  EXPECT_TRUE(limiter.May(spdlog::level::err, "server.bad_input", begin, &missing)) << "nor a graver line";
  EXPECT_TRUE(limiter.May(spdlog::level::debug, "server.bad_input", begin, &missing));
  EXPECT_EQ(missing, 0u);
  EXPECT_TRUE(limiter.May(spdlog::level::warn, "server.bad_input", begin + seconds(1), &missing));
  EXPECT_EQ(missing, 1000u);
  EXPECT_TRUE(limiter.May(spdlog::level::warn, "server.bad_input", begin + seconds(1), &missing));
  EXPECT_EQ(missing, 0u) << "told once";
}

TEST_F(LogLineTest, KindsWithoutEndAreForgotten) {
  LogLimiter limiter;
  uint64_t missing = 0;
  const LogLimiter::Time begin{seconds(100)};
  for (size_t i = 0; i < 4 * LogLimiter::kKindsMax; ++i)
    EXPECT_TRUE(limiter.May(spdlog::level::warn, "kind" + std::to_string(i), begin, &missing));
}

TEST_F(LogLineTest, WhatIsMissingIsSaid) {
  auto logger = Logger(false);
  for (uint32_t i = 0; i < LogLimiter::kBurst + 500; ++i) logger->warn("server.bad_input n={}", i);
  const std::string written = out_.str();
  const auto lines = std::count(written.begin(), written.end(), '\n');
  EXPECT_GE(lines, LogLimiter::kBurst);
  EXPECT_LT(lines, LogLimiter::kBurst + 400);
  while (out_.str().find("W log.suppressed kind=server.bad_input lines=") == std::string::npos)
    logger->warn("server.bad_input once there is room");
}

TEST_F(LogLineTest, StandardErrorIsTheJournalWhenItSaysSo) {
  struct stat st {};
  ASSERT_EQ(fstat(STDERR_FILENO, &st), 0);
  setenv("JOURNAL_STREAM", (std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino)).c_str(), 1);
  EXPECT_TRUE(StderrIsJournal());
  setenv("JOURNAL_STREAM", "1:2", 1);
  EXPECT_FALSE(StderrIsJournal()) << "redirected since";
  unsetenv("JOURNAL_STREAM");
  EXPECT_FALSE(StderrIsJournal());
}

}  // namespace
}  // namespace kfs

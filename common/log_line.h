// How a log line leaves the process. Whatever a message holds, one event is one line of printable text; one
// kind of event cannot fill the log; journald is told how grave a line is.
//
// A *kind* is a level and the event's name, the message's first word. Each kind has so many lines at once and
// so many a second; the rest is counted, and the count is a line (`log.suppressed kind=... lines=...`) before
// the next line of its kind that is written. debug and trace are never limited. Any thread.
#pragma once

#include <spdlog/sinks/sink.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace kfs {

// As `file` of InitLog: the system's log (syslog(3)), which is the journal under systemd.
constexpr char kLogToSystem[] = "@syslog";

// One line: control characters, bytes that are not UTF-8 and Unicode's line ends become \n, \t, \x1b, \u2028;
// what is longer than 8 KiB is cut.
std::string OneLine(std::string_view message);

// Standard error is the journal's (JOURNAL_STREAM names it): lines there begin with "<4>" and the like.
bool StderrIsJournal();

class LogLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr uint32_t kBurst = 200;     // lines of one kind at once
  static constexpr uint32_t kPerSecond = 20;  // and after that
  static constexpr size_t kKindsMax = 1024;   // remembered

  // May this line be written? `missing` gets how many of its kind were not since the last one that was.
  bool May(spdlog::level::level_enum level, std::string_view kind, Time now, uint64_t* missing);

 private:
  struct Kind {
    double tokens = kBurst;
    Time at{};
    uint64_t missing = 0;
  };
  std::map<std::pair<int, std::string>, Kind, std::less<>> kinds_;
};

// `inner` with lines as above. `prefix`: with journald's priority.
std::shared_ptr<spdlog::sinks::sink> LineSink(std::shared_ptr<spdlog::sinks::sink> inner, bool prefix);

}  // namespace kfs

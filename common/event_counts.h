// How often each event that somebody should look at was logged (warnings and worse), so that every alarm of
// docs/operate.md can be had from metrics, too. Process-wide, as the log is. Any thread.
#pragma once

#include <spdlog/sinks/sink.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace kfs {

struct EventCount {
  std::string event;  // "disk.sick": the first word of the line
  std::string level;  // "warning", "error", "critical": the worst it was logged with
  uint64_t count = 0;
};
// Since the process began, by name. At most kEventsMax; what comes after that is counted as "other".
constexpr size_t kEventsMax = 256;
std::vector<EventCount> LoggedEvents();

// Counts what the log is given; InitLog puts it beside the file.
std::shared_ptr<spdlog::sinks::sink> EventCountingSink();

}  // namespace kfs

#include "common/event_counts.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <mutex>

namespace kfs {
namespace {

struct Counted {
  spdlog::level::level_enum level = spdlog::level::warn;
  uint64_t count = 0;
};

std::mutex g_mutex;  // guards g_events
std::map<std::string, Counted, std::less<>> g_events;

// An event's name: nothing that a peer has sent can be one.
bool IsName(std::string_view word) {
  return !word.empty() && word.size() <= 64 && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '.' || c == '_';
  });
}

class CountingSink : public spdlog::sinks::sink {
 public:
  void log(const spdlog::details::log_msg& message) override {
    if (message.level < spdlog::level::warn || message.level >= spdlog::level::off) return;
    const std::string_view line(message.payload.data(), message.payload.size());
    std::string_view word = line.substr(0, line.find(' '));
    if (!IsName(word)) word = "other";
    std::lock_guard lock(g_mutex);
    auto it = g_events.find(word);
    if (it == g_events.end()) {
      if (g_events.size() + 1 >= kEventsMax) word = "other";
      it = g_events.try_emplace(std::string(word)).first;
    }
    it->second.level = std::max(it->second.level, message.level);
    ++it->second.count;
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}
};

}  // namespace

std::vector<EventCount> LoggedEvents() {
  std::lock_guard lock(g_mutex);
  std::vector<EventCount> out;
  for (const auto& [event, counted] : g_events) {
    const auto level = spdlog::level::to_string_view(counted.level);
    out.push_back({event, std::string(level.data(), level.size()), counted.count});
  }
  return out;
}

std::shared_ptr<spdlog::sinks::sink> EventCountingSink() { return std::make_shared<CountingSink>(); }

}  // namespace kfs

#include "fuse/call_table.h"

#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace kfs::fuse {
namespace {

// How long a killed process may go unnoticed.
constexpr auto kCheckPeriod = std::chrono::milliseconds(100);

bool SetContainsKill(const std::string& text, const char* field) {
  const size_t at = text.find(field);
  if (at == std::string::npos) return false;
  const uint64_t set = std::strtoull(text.c_str() + at + std::char_traits<char>::length(field), nullptr, 16);
  return (set >> (SIGKILL - 1) & 1) != 0;
}

}  // namespace

void CallTable::SetId(uint64_t unique, CallId id) {
  auto it = calls_.find(unique);
  if (it == calls_.end()) return;
  it->second.id = id;
  // The interrupt may have come before a repetition got its name.
  if (interrupted_.contains(unique) && MustEnd(it->second)) cancel_(id);
}

void CallTable::End(uint64_t unique) {
  calls_.erase(unique);
  if (interrupted_.erase(unique) != 0 && interrupted_.empty()) timer_.Cancel();
}

void CallTable::Interrupt(uint64_t unique) {
  auto it = calls_.find(unique);
  if (it == calls_.end()) return;  // answered meanwhile
  if (interrupted_.insert(unique).second) it->second.interrupted_at = std::chrono::steady_clock::now();
  if (!timer_.active()) timer_ = loop_.RunEvery(kCheckPeriod, [this] { Check(); });
  if (it->second.id != 0 && MustEnd(it->second)) cancel_(it->second.id);
}

void CallTable::Check() {
  std::vector<CallId> ending;  // cancelling changes the tables
  for (uint64_t unique : interrupted_) {
    const Entry& entry = calls_.at(unique);
    if (entry.id != 0 && MustEnd(entry)) ending.push_back(entry.id);
  }
  for (CallId id : ending) cancel_(id);
}

bool KillPendingIn(const std::string& proc_status) {
  return SetContainsKill(proc_status, "\nSigPnd:") || SetContainsKill(proc_status, "\nShdPnd:");
}

bool KillPending(uint32_t tid) {
  if (tid == 0) return false;
  std::ifstream in("/proc/" + std::to_string(tid) + "/status");
  if (!in) return true;  // it is gone already
  std::ostringstream text;
  text << in.rdbuf();
  return KillPendingIn(text.str());
}

}  // namespace kfs::fuse

// What this machine allows a mount's process to take: descriptors, memory, threads. Memory is not locked by any
// part of KFS, so that its limit does not matter.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <vector>

#include "cli/doctor/checks.h"
#include "cli/doctor/surroundings.h"
#include "cli/output.h"

namespace kfs::cli::doctor {
namespace {

// A mount raises its soft limit to the hard one. It has some connections to each server, and few files besides.
constexpr uint64_t kFilesLeast = 256, kFilesOfServer = 4;
// The kernel hands over up to 256 requests of 1 MiB at a time (max_background), and each has an answer.
constexpr uint64_t kMemoryLeast = 512u << 20;
constexpr uint64_t kThreadsLeast = 32;  // a mount has a handful, beside what else runs here

// A line of /proc/PID/limits: "Max open files   1024   524288   files"; "unlimited" is UINT64_MAX.
Result<uint64_t> HardLimit(const std::string& limits, const std::string& name) {
  std::istringstream lines(limits);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name)) continue;
    std::istringstream words(line.substr(name.size()));
    std::string soft, hard;
    if (!(words >> soft >> hard)) break;
    return hard == "unlimited" ? UINT64_MAX : ParseNumber(hard);
  }
  return Status(EINVAL, fmt::format("/proc/self/limits does not say '{}'", name));
}

Finding Descriptors(const Surroundings& here, const Result<std::string>& limits) {
  const std::string subject = "open files";
  if (!limits.ok()) return CannotTell(subject, limits.status());
  const auto hard = HardLimit(*limits, "Max open files");
  if (!hard.ok()) return CannotTell(subject, hard.status());
  const uint64_t wanted = kFilesLeast + kFilesOfServer * here.asked.servers.size();
  const std::string words =
      *hard == UINT64_MAX ? "no limit" : fmt::format("at most {} by this shell's hard limit", *hard);
  if (*hard >= wanted) return {Severity::kOk, subject, words, "", ""};
  return {Severity::kWarning, subject, fmt::format("{}, a mount wants {}", words, wanted),
          "raise it (ulimit -Hn, /etc/security/limits.conf, LimitNOFILE= of a unit), and mount anew", ""};
}

// Limits of a cgroup hold for all that lies below it.
struct CgroupLimit {
  uint64_t left = UINT64_MAX;  // of memory, the limit itself: much of what is used can be given back
  uint64_t limit = UINT64_MAX;
  std::string file;  // that says so; empty: there is none
};

struct Controller {
  const char* name;     // of version 1, and its folder
  const char* limit_1;  // files of version 1
  const char* limit_2;  // of version 2; "max": none
  const char* used;     // null: it does not count
};

// A folder of the controller for each version of cgroups that this process has: the deepest one.
std::vector<std::pair<std::string, std::string>> FoldersOf(const std::string& cgroups, const Controller& of) {
  std::vector<std::pair<std::string, std::string>> out;  // where the version is mounted, the group's path
  std::istringstream lines(cgroups);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (names == ",,") out.emplace_back("/sys/fs/cgroup", path);
    if (names.find(fmt::format(",{},", of.name)) != std::string::npos)
      out.emplace_back(fmt::format("/sys/fs/cgroup/{}", of.name), path);
  }
  return out;
}

constexpr int kDepthMax = 64;

Result<CgroupLimit> LowestLimit(const Surroundings& here, const Controller& of) {
  const auto cgroups = here.files.Text("/proc/self/cgroup");
  if (!cgroups.ok()) return cgroups.status();
  CgroupLimit lowest;
  for (const auto& [mounted, group] : FoldersOf(*cgroups, of)) {
    std::string path = group == "/" ? "" : group;
    for (int depth = 0; depth < kDepthMax; ++depth) {
      for (const char* name : {of.limit_1, of.limit_2}) {
        const std::string file = mounted + path + "/" + name;
        const auto word = here.files.Line(file);
        if (!word.ok() || *word == "max") continue;  // what is not there, or not seen here, bounds nothing
        const auto limit = ParseNumber(*word);
        if (!limit.ok()) return Status(EINVAL, file + ": " + limit.status().message());
        uint64_t used = 0;
        if (of.used != nullptr) {
          if (const auto n = here.files.Number(mounted + path + "/" + of.used); n.ok()) used = *n;
        }
        const uint64_t left = *limit - std::min(*limit, used);
        if (left < lowest.left) lowest = {left, *limit, file};
      }
      const size_t slash = path.rfind('/');
      if (path.empty() || slash == std::string::npos) break;
      path.resize(slash);
    }
  }
  return lowest;
}

// Version 1 says "no limit" as the largest number of pages.
constexpr uint64_t kNoLimit = uint64_t{1} << 60;

Finding CgroupMemory(const Surroundings& here) {
  const std::string subject = "memory limit";
  const auto lowest = LowestLimit(here, {"memory", "memory.limit_in_bytes", "memory.max", nullptr});
  if (!lowest.ok()) return CannotTell(subject, lowest.status());
  if (lowest->limit >= kNoLimit)
    return {Severity::kOk, subject, "none by a cgroup that is seen here", "", ""};
  const std::string words = fmt::format("{} ({})", HumanBytes(lowest->limit), lowest->file);
  if (lowest->limit >= kMemoryLeast) return {Severity::kOk, subject, words, "", ""};
  return {
      Severity::kWarning, subject,
      fmt::format("{}: a mount under load may take {}, and is killed then", words, HumanBytes(kMemoryLeast)),
      "raise it (MemoryMax= of a unit, --memory of a container)", ""};
}

Finding Memory(const Surroundings& here) {
  const std::string subject = "memory";
  const auto text = here.files.Text("/proc/meminfo");
  if (!text.ok()) return CannotTell(subject, text.status());
  const size_t at = text->find("MemAvailable:");
  std::istringstream words(at == std::string::npos ? "" : text->substr(at));
  std::string name, number, unit;
  words >> name >> number >> unit;
  const auto kb = ParseNumber(number);
  if (!kb.ok() || unit != "kB" || *kb > UINT64_MAX / 1024)
    return CannotTell(subject, "/proc/meminfo does not say how much is available");
  const uint64_t bytes = *kb * 1024;
  const std::string said = fmt::format("{} are available", HumanBytes(bytes));
  if (bytes >= kMemoryLeast) return {Severity::kOk, subject, said, "", ""};
  return {Severity::kWarning, subject,
          fmt::format("{}: a mount under load may take {}", said, HumanBytes(kMemoryLeast)),
          "end what takes the memory ('ps aux --sort=-rss')", ""};
}

Finding Threads(const Surroundings& here, const Result<std::string>& limits) {
  const std::string subject = "processes and threads";
  const auto lowest = LowestLimit(here, {"pids", "pids.max", "pids.max", "pids.current"});
  if (!lowest.ok()) return CannotTell(subject, lowest.status());
  if (lowest->left < kThreadsLeast)
    return {Severity::kWarning, subject,
            fmt::format("{} of {} are left ({}): a mount may not start", lowest->left, lowest->limit,
                        lowest->file),
            "raise it (TasksMax= of a unit, --pids-limit of a container)", ""};
  if (!here.root && limits.ok()) {
    if (const auto hard = HardLimit(*limits, "Max processes"); hard.ok() && *hard < kThreadsLeast)
      return {Severity::kWarning, subject, fmt::format("at most {} of this user", *hard),
              "raise it (ulimit -Hu)", ""};
  }
  return {Severity::kOk, subject,
          lowest->file.empty() ? "no limit by a cgroup that is seen here"
                               : fmt::format("{} of {} are left", lowest->left, lowest->limit),
          "", ""};
}

}  // namespace

Findings CheckLimits(const Surroundings& here) {
  const auto limits = here.files.Text("/proc/self/limits");
  return {Descriptors(here, limits), Memory(here), CgroupMemory(here), Threads(here, limits)};
}

}  // namespace kfs::cli::doctor

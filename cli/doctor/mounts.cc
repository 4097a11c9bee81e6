// The KFS mounts of this machine: whether they answer, and which of their options cost time.
#include <fmt/format.h>

#include <cerrno>
#include <optional>

#include "cli/doctor/checks.h"
#include "cli/doctor/surroundings.h"
#include "cli/output.h"
#include "fuse/mount.h"

namespace kfs::cli::doctor {
namespace {

constexpr uint64_t kRequestMax = 1u << 20;   // bytes that a mount reads or writes at once
constexpr uint64_t kReadAheadUsualKb = 128;  // the kernel's own

Finding Answers(const LocalMount& m, const std::string& subject) {
  const Status& told = m.told;
  if (told.ok()) return {Severity::kOk, subject, "of " + m.source + " answers", "", ""};
  switch (told.err()) {
    case ETIMEDOUT:
      return {Severity::kWarning, subject,
              "its process does not answer within a second: it hangs, or is stopped",
              "look at its log, and whether its process runs", ""};
    case ENOTCONN:
    case ECONNABORTED:
      return {Severity::kCritical, subject, "its process has died", "umount -l it, and mount it anew", ""};
    case ENODATA:
    case EOPNOTSUPP:
      return {Severity::kNote, subject, "answers, but does not tell its options: it is of another version",
              "", ""};
    default:  // EACCES: somebody else's, without allow_other
      return CannotTell(subject, told);
  }
}

struct Costly {
  const char* option;
  Severity severity;
  const char* words;
  const char* next;
};
constexpr Costly kCostly[] = {
    {"sync", Severity::kWarning, "is mounted with sync: every write waits for the disks",
     "mount -o remount,async, where programs that need it call fsync"},
    {"dirsync", Severity::kNote, "is mounted with dirsync: every change of a name waits for the disks",
     "mount it without dirsync"},
    {"strictatime", Severity::kNote, "is mounted with strictatime: every read changes its file",
     "mount -o remount,relatime"},
    {"trace", Severity::kWarning, "is mounted with trace: each request is logged on its way",
     "mount it without trace"},
    {"loglevel=trace", Severity::kWarning, "logs at level trace", "mount it with loglevel=info"},
    {"loglevel=debug", Severity::kWarning, "logs at level debug", "mount it with loglevel=info"},
};

void Options(const LocalMount& m, const std::string& subject, Findings* out) {
  for (const std::string& option : SplitOptions(m.options)) {
    for (const Costly& costly : kCostly) {
      if (option == costly.option) out->push_back({costly.severity, subject, costly.words, costly.next, ""});
    }
  }
  for (const std::string& option : SplitOptions(m.shown)) {
    if (!option.starts_with("max_read=")) continue;
    const auto bytes = ParseNumber(option.substr(sizeof "max_read=" - 1));
    if (!bytes.ok()) {
      out->push_back(CannotTell(subject, "max_read: " + bytes.status().message()));
    } else if (*bytes < kRequestMax) {
      out->push_back({Severity::kWarning, subject,
                      fmt::format("the kernel reads at most {} at once (max_read)", HumanBytes(*bytes)),
                      "mount it anew with 'kfs mount', which sets no max_read", ""});
    }
  }
}

// Files are opened for direct I/O, so that it matters to what is mapped alone.
void ReadAhead(const Surroundings& here, const LocalMount& m, const std::string& subject, Findings* out) {
  const std::string file = fmt::format("/sys/class/bdi/{}/read_ahead_kb", m.device);
  const auto kb = here.files.Number(file);
  if (!kb.ok()) return out->push_back(CannotTell(subject, kb.status()));
  if (*kb >= kReadAheadUsualKb)
    out->push_back({Severity::kOk, subject, fmt::format("reads {} KiB ahead in mapped files", *kb), "", ""});
  else
    out->push_back({Severity::kNote, subject, fmt::format("reads only {} KiB ahead in mapped files", *kb),
                    fmt::format("echo 1024 > {}", file), ""});
}

// Requests that the kernel has handed over, or not yet, and that are not answered. Only root may look.
constexpr uint64_t kWaitingMany = 64;

void Requests(const Surroundings& here, const LocalMount& m, const std::string& subject, Findings* out) {
  const size_t colon = m.device.find(':');
  if (colon == std::string::npos) return;
  const auto waiting =
      here.files.Number(fmt::format("/sys/fs/fuse/connections/{}/waiting", m.device.substr(colon + 1)));
  if (!waiting.ok() || *waiting < kWaitingMany) return;
  out->push_back({Severity::kNote, subject, fmt::format("{} requests wait for its process", *waiting),
                  "if it stays so: kfs health, and client.waiting in its log", ""});
}

}  // namespace

Findings CheckMounts(const Surroundings& here) {
  Findings out;
  if (!here.mounts_known.ok()) return {CannotTell("mounts", here.mounts_known)};
  if (here.mounts.empty())
    out.push_back({Severity::kNote, "mounts", "no KFS volume is mounted here", "", ""});
  for (const LocalMount& m : here.mounts) {
    const std::string subject = "mount " + m.mountpoint;
    out.push_back(Answers(m, subject));
    Options(m, subject, &out);
    ReadAhead(here, m, subject, &out);
    Requests(here, m, subject, &out);
  }
  return out;
}

}  // namespace kfs::cli::doctor

// Room: of the chunkservers, and where the logs of this machine's mounts are.
#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "cli/doctor/checks.h"
#include "cli/doctor/surroundings.h"
#include "cli/output.h"
#include "fuse/mount.h"

namespace kfs::cli::doctor {
namespace {

// As `kfs health` has it.
constexpr uint64_t kLow = 10, kFull = 2;  // percent
constexpr uint64_t kLogLeast = 64u << 20, kLogInodes = 16;

Finding Of(const std::string& subject, uint64_t capacity, uint64_t available) {
  if (capacity == 0) return CannotTell(subject, "it has not said how large it is");
  const std::string words = fmt::format("{} of {} are free", HumanBytes(available), HumanBytes(capacity));
  const double percent = 100.0 * static_cast<double>(available) / static_cast<double>(capacity);
  if (percent >= kLow) return {Severity::kOk, subject, words, "", ""};
  return {percent < kFull ? Severity::kCritical : Severity::kWarning, subject, words,
          "remove files, or add a chunkserver (kfs df shows them all)", ""};
}

// Of chunkservers those that are well are no line each; the sum is.
void Chunkservers(const Asked& asked, Findings* out) {
  const auto best = std::max_element(asked.members.begin(), asked.members.end(),
                                     [](const MemberAnswer& a, const MemberAnswer& b) {
                                       return std::pair(a.status.ok(), a.conf.conf().generation()) <
                                              std::pair(b.status.ok(), b.conf.conf().generation());
                                     });
  if (best == asked.members.end() || !best->status.ok()) {
    out->push_back(CannotTell("room of the cluster",
                              asked.mount_key ? "a mount's key may not ask; 'df' on the mount says it"
                                              : "no metaserver has answered"));
    return;
  }
  for (const auto& c : best->cluster.chunkserver()) {
    if (!c.up() || c.capacity() == 0) continue;
    Finding f =
        Of(fmt::format("room of chunkserver {} ({})", c.id(), c.address()), c.capacity(), c.available());
    if (f.severity != Severity::kOk) out->push_back(std::move(f));
  }
  out->push_back(Of("room of the cluster", best->cluster.capacity(), best->cluster.available()));
}

// A mount whose log cannot be written goes on, and says nothing any more.
void Logs(const Surroundings& here, Findings* out) {
  std::set<std::string> folders;
  for (const LocalMount& m : here.mounts) {
    for (const std::string& option : SplitOptions(m.options)) {
      if (option.starts_with("log=/")) folders.insert(std::filesystem::path(option.substr(4)).parent_path());
    }
  }
  for (const std::string& folder : folders) {
    const std::string subject = "room for logs in " + folder;
    // One below a mount of KFS would wait for the servers.
    const bool within = std::any_of(here.mounts.begin(), here.mounts.end(), [&](const LocalMount& m) {
      return folder == m.mountpoint || folder.starts_with(m.mountpoint + "/");
    });
    struct statvfs st;
    if (within) {
      out->push_back({Severity::kWarning, subject, "a mount logs into a KFS mount: when that waits, both do",
                      "log elsewhere (log=FILE), or to the system's log", ""});
    } else if (statvfs(here.files.Root(folder).c_str(), &st) != 0) {
      out->push_back(CannotTell(subject, ErrnoStatus(errno, folder)));
    } else if (const uint64_t bytes = st.f_bavail * st.f_frsize; bytes < kLogLeast) {
      out->push_back(
          {Severity::kWarning, subject, fmt::format("{} are free", HumanBytes(bytes)), "make room", ""});
    } else if (st.f_files != 0 && st.f_favail < kLogInodes) {
      out->push_back(
          {Severity::kWarning, subject, fmt::format("{} inodes are free", st.f_favail), "remove files", ""});
    } else {
      out->push_back({Severity::kOk, subject, fmt::format("{} are free", HumanBytes(bytes)), "", ""});
    }
  }
}

}  // namespace

Findings CheckRoom(const Surroundings& here) {
  Findings out;
  Chunkservers(here.asked, &out);
  Logs(here, &out);
  return out;
}

}  // namespace kfs::cli::doctor

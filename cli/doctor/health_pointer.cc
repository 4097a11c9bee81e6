// What `kfs health` would say, in a line.
#include <fmt/format.h>

#include <algorithm>

#include "cli/doctor/checks.h"
#include "cli/doctor/surroundings.h"
#include "cli/health.h"

namespace kfs::cli::doctor {
namespace {

std::string Counted(size_t n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); }

}  // namespace

Findings CheckHealth(const Surroundings& here) {
  const std::string subject = "kfs health";
  if (here.asked.members.empty())
    return {CannotTell(subject, here.asked.mount_key
                                    ? "a mount's key may not ask; run it where the cluster is administered"
                                    : "no metaserver could be asked")};
  const auto found = Examine(here.asked.members, here.asked.answered);
  const auto count = [&](cli::Severity severity) {
    return static_cast<size_t>(std::count_if(found.begin(), found.end(),
                                             [&](const cli::Finding& f) { return f.severity == severity; }));
  };
  const size_t critical = count(cli::Severity::kCritical), warnings = count(cli::Severity::kWarning);
  if (critical + warnings == 0) return {{Severity::kOk, subject, "says that the cluster is well", "", ""}};
  std::string words = critical != 0 ? Counted(critical, "critical finding") : "";
  if (warnings != 0) words += (words.empty() ? "" : " and ") + Counted(warnings, "warning");
  // The worst comes first.
  return {{critical != 0 ? Severity::kCritical : Severity::kWarning, subject,
           fmt::format("says {}: {}: {}{}", words, found.front().subject, found.front().words,
                       critical + warnings > 1 ? "; ..." : ""),
           subject, ""}};
}

}  // namespace kfs::cli::doctor

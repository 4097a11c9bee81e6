// The volume that was named, or that is mounted: whether somebody serves it.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "cli/doctor/checks.h"
#include "cli/doctor/surroundings.h"

namespace kfs::cli::doctor {

Findings CheckVolume(const Surroundings& here) {
  const Asked& asked = here.asked;
  if (asked.volume.empty()) return {};
  const std::string subject = "volume " + asked.volume;
  if (!asked.located) return {CannotTell(subject, "no metaserver has said where it is")};
  if (!asked.located->ok()) {
    const Status& why = asked.located->status();
    if (why.err() == ENOENT)
      return {{Severity::kCritical, subject, "there is none of this name in the cluster",
               "kfs volume list; kfs volume create " + asked.volume, ""}};
    return {{Severity::kCritical, subject, "cannot be mounted from here: " + why.message(),
             "'kfs volume info " + asked.volume + "' with an administrator's key", ""}};
  }
  const pb::LocateVolumeReply& at = **asked.located;
  if (!at.started())
    return {{Severity::kCritical, subject, "is stopped", "kfs volume start " + asked.volume, ""}};
  const auto owner = std::find_if(asked.servers.begin(), asked.servers.end(), [&](const ReachedServer& s) {
    return s.name == "metaserver " + at.owner();
  });
  if (owner != asked.servers.end() && !owner->status.ok())
    return {{Severity::kCritical, subject,
             fmt::format("its owner {} is not reached from here: its mounts wait", at.owner()),
             "do what is said of metaserver " + at.owner(), ""}};
  return {{Severity::kOk, subject, fmt::format("is started, {} serves it", at.owner()), "", ""}};
}

}  // namespace kfs::cli::doctor

#include <fmt/format.h>

#include <algorithm>

#include "cli/output.h"
#include "cli/reports.h"

namespace kfs::cli {

std::string VolumeState(const pb::VolumeInfo& v, const pb::ConfShowReply* conf) {
  if (!v.started()) return "stopped";
  if (!v.moving().empty()) return "moving";
  if (!v.trouble().empty()) return "not served";
  if (v.counted() || conf == nullptr) return "started";
  const auto& peers = conf->peer();
  const auto owner =
      std::find_if(peers.begin(), peers.end(), [&](const auto& p) { return p.address() == v.owner(); });
  if (owner != peers.end()) return owner->connected() ? "started" : "owner away";
  // Nobody's, or of the metaserver asked, which would have counted it.
  return "not served";
}

std::string LostText(const pb::VolumeInfo& v) {
  std::string out;
  for (const auto& lost : v.lost()) {
    if (lost.settled()) continue;
    out += fmt::format(
        "volume {} has lost {} chunk{} of {} file{} with chunkserver {}: kfs chunkserver files {}\n",
        v.name(), lost.chunks(), lost.chunks() == 1 ? "" : "s", lost.files(), lost.files() == 1 ? "" : "s",
        lost.server(), lost.server());
  }
  return out;
}

std::string CountedOrState(const pb::VolumeInfo& v, const std::string& state, const std::string& text) {
  const bool asked = state == "started" || state == "moving";
  return asked || v.counted() ? Counted(v, text) : "-";
}

}  // namespace kfs::cli

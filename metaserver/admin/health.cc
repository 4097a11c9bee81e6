#include "metaserver/admin/health.h"

#include <fmt/format.h>

namespace kfs::meta {

Status Health::Check() const {
  if (disk_.full()) return Status(ENOSPC, fmt::format("the file system of data-dir {} is full", data_dir_));
  const pb::ClusterConf& conf = member_.conf();
  for (const pb::VolumeConf& v : conf.volume()) {
    if (v.owner() != member_.uuid() || !v.started()) continue;
    if (executor_.FindVolume(VolumeId(v.id())) == nullptr)
      return Status(ESHUTDOWN, fmt::format("volume {} is not served; 'kfs volume status {}' says why",
                                           v.name(), v.name()));
  }
  int connected = 1;
  for (const PeerView& p : member_.node().Peers()) connected += p.connected ? 1 : 0;
  if (connected * 2 <= conf.member_size())
    return Status(EHOSTUNREACH, fmt::format("{} of {} metaservers are connected, which is no majority: the "
                                            "configuration cannot be changed",
                                            connected, conf.member_size()));
  return {};
}

}  // namespace kfs::meta

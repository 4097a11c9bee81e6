#include "metaserver/hosting/sync_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "common/secret.h"

namespace kfs::meta {
namespace {

auto Place(const pb::SyncPoint& p) { return std::tuple(p.line(), p.sequence()); }

}  // namespace

std::string SyncPoints::Mac(const pb::SyncPoint& point) const {
  return MacOf(key_, "kfs sync point", {point.volume(), point.line(), point.sequence(), point.opening()});
}

pb::SyncPoint SyncPoints::Signed(VolumeId volume, uint64_t line, uint64_t sequence, uint64_t opening) const {
  pb::SyncPoint point;
  point.set_volume(volume.v);
  point.set_line(line);
  point.set_sequence(sequence);
  point.set_opening(opening);
  point.set_mac(Mac(point));
  return point;
}

bool SyncPoints::Heard(const pb::SyncPoint& point) {
  const pb::SyncPoint* known = Latest(VolumeId(point.volume()));
  if (known != nullptr && Place(point) <= Place(*known)) return false;
  if (!EqualConstantTime(point.mac(), Mac(point))) return false;
  latest_[VolumeId(point.volume())] = point;
  return true;
}

const pb::SyncPoint* SyncPoints::Latest(VolumeId volume) const {
  auto it = latest_.find(volume);
  return it == latest_.end() ? nullptr : &it->second;
}

Status SyncPoints::Check(VolumeId volume, const std::string& name, uint64_t line, uint64_t sequence,
                         uint64_t opening) const {
  const pb::SyncPoint* p = Latest(volume);
  if (p == nullptr || (opening != 0 && p->opening() == opening)) return {};
  if (std::tuple(line, sequence) >= Place(*p)) return {};
  return Status(
      EAGAIN, Code::kTryAgain,
      fmt::format(
          "the data of volume \"{0}\" is an older copy: it ends with change {1}, and change {2} has been "
          "durable{3}. Nothing is lost yet: stop this metaserver, put the right data directory back, start "
          "it. If there is none any more, what was made since is lost, and this copy can be gone on with as "
          "with a backup: kfs volume stop {0}; kfs volume backup {0} FILE; kfs volume restore {0} FILE; kfs "
          "volume start {0}",
          name, sequence, p->sequence(), line == p->line() ? "" : " after the volume was begun anew"));
}

}  // namespace kfs::meta

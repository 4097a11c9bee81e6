// The answer to a read transaction is one report of each member. Here they become one view: a volume is told
// of by its owner, a chunkserver by the member that got an answer from it. Any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proto/admin.pb.h"

namespace kfs::cli {

struct VolumeView {
  pb::VolumeInfo info;
  std::string reason;  // why files, bytes and mounts are not known; empty: they are
};
// Those that were reported, and those that `conf` has besides; by name.
std::vector<VolumeView> Volumes(const pb::VolumeStatusReply& status, const pb::ConfShowReply& conf,
                                const std::string& name);

struct ChunkserverView {
  pb::MemberReport::Chunkserver report;     // the best one: an answer, and of those the quickest
  std::vector<std::string> up_at, down_at;  // members that have it connected, or not
};
std::map<uint64_t, ChunkserverView> Chunkservers(const pb::VolumeStatusReply& status);

}  // namespace kfs::cli

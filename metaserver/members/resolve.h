// From what a person types to what a change holds: names of peers and chunkservers, defaults. Pure.
#pragma once

#include <map>
#include <string>

#include "common/status.h"
#include "proto/cluster.pb.h"

namespace kfs::meta {

// Their addresses by number, as last registered here.
using ChunkserverAddresses = std::map<uint64_t, std::string>;

// A member's uuid from its uuid or the first letters of it, HOST or HOST:PORT. ENOENT, or EINVAL when several
// fit.
Result<std::string> ResolvePeer(const pb::ClusterConf& conf, const std::string& text);
// A chunkserver's uuid from its number, its uuid or the first letters of it, HOST or HOST:PORT.
Result<std::string> ResolveChunkserver(const pb::ClusterConf& conf, const ChunkserverAddresses& addresses,
                                       const std::string& text);

struct VolumeDefaults {
  uint64_t chunk_size = 0;
  uint32_t replicas = 1;
};
// Replaces names by uuids, and fills in what may be left out.
Status ResolveChange(const pb::ClusterConf& conf, const ChunkserverAddresses& addresses,
                     const VolumeDefaults& defaults, pb::Change* change);

}  // namespace kfs::meta

// What the configuration means for this machine: whoever serves its volumes and chunkservers answers here.
// The loop's thread. Made after the member, and told of it (Member::Serve).
#pragma once

#include <functional>
#include <string>

#include "metaserver/chunks/chunkservers.h"
#include "metaserver/members/resolve.h"
#include "proto/admin.pb.h"
#include "proto/cluster.pb.h"
#include "proto/common.pb.h"

namespace kfs::meta {

class MemberEnv {
 public:
  virtual ~MemberEnv() = default;

  virtual void ConfigurationChanged(const pb::ClusterConf& before) = 0;
  // What only this machine could object to. Changes nothing.
  virtual Status Validate(const pb::Change& change, const pb::ClusterConf& next) = 0;
  // The chunkservers made ready for it. May be repeated, also with a value that is never decided; expires.
  virtual void Prepare(const pb::ClusterConf& next, const pb::Ballot& ballot,
                       std::function<void(Status)> done) = 0;
  // What this member and its chunkservers see; within a second.
  virtual void Report(std::function<void(pb::MemberReport)> done) = 0;
  virtual VolumeDefaults DefaultsOfVolumes() = 0;
  virtual ChunkserverAddresses AddressesOfChunkservers() = 0;
  // How far volumes have been durable, as another member knows.
  virtual void HeardSyncPoints(const google::protobuf::RepeatedPtrField<pb::SyncPoint>& points) = 0;

  // Why this metaserver cannot leave its cluster for another: it holds data. Empty: it can.
  virtual std::string WhyNotLeave() = 0;
  // Stored in this call, and durable before the member's record that follows.
  virtual void JoinCluster(const std::string& cluster_id) = 0;
  // As far as this metaserver knows; null: not known.
  virtual const Chunkserver* FindChunkserver(const std::string& uuid) = 0;
};

}  // namespace kfs::meta

// What the cluster's configuration means for this metaserver: volumes that are served, chunkservers that are
// known, sessions whose keys are gone; and what of it this one objects to. Loop's thread only.
#pragma once

#include <string>

#include "metaserver/chunks/brick_phase.h"
#include "metaserver/hosting/volume_host.h"
#include "metaserver/images/image_store.h"
#include "metaserver/members/member.h"
#include "metaserver/members/member_env.h"
#include "metaserver/service/chunkserver_admission.h"
#include "metaserver/service/key_service.h"
#include "metaserver/service/sync_point_exchange.h"
#include "metaserver/service/volume_view.h"
#include "metaserver/store/cluster_store.h"
#include "rpc/server.h"

namespace kfs::meta {

// Of the metaservers of a cluster, from its root secret.
std::string SyncPointKey(const Credentials& root, const std::string& cluster);

class Membership final : public MemberEnv {
 public:
  struct Options {
    std::string advertised;      // what others reach this metaserver by
    std::string default_volume;  // made at the first start; empty: none
    VolumeDefaults defaults;
    int64_t started_wall = 0;
  };
  // Whom the configuration is applied to.
  struct Parts {
    ClusterStore& cluster;
    Server& server;
    Member& member;
    Executor& executor;
    VolumeHost& volumes;
    Chunkservers& chunkservers;
    BrickPhase& bricks;
    ImageStore& images;
    ChunkserverAdmission& admission;
    KeyService& keys;
    SyncPointExchange& exchange;
    const VolumeView& view;
  };
  Membership(Options options, const Parts& parts);

  // As the process begins, before others are heard: opens the volumes, makes the default one. An error: this
  // metaserver cannot serve anything.
  Status Begin();

  // MemberEnv.
  void ConfigurationChanged(const pb::ClusterConf& before) override;
  Status Validate(const pb::Change& change, const pb::ClusterConf& next) override;
  void Prepare(const pb::ClusterConf& next, const pb::Ballot& ballot,
               std::function<void(Status)> done) override;
  void Report(std::function<void(pb::MemberReport)> done) override;
  VolumeDefaults DefaultsOfVolumes() override { return options_.defaults; }
  ChunkserverAddresses AddressesOfChunkservers() override;
  void HeardSyncPoints(const google::protobuf::RepeatedPtrField<pb::SyncPoint>& points) override;
  std::string WhyNotLeave() override;
  void JoinCluster(const std::string& cluster_id) override;
  const Chunkserver* FindChunkserver(const std::string& uuid) override;

 private:
  Status CreateDefaultVolume();
  Status SetOwnAddress();

  const Options options_;
  ClusterStore& cluster_;
  Server& server_;
  Member& member_;
  Executor& executor_;
  VolumeHost& volumes_;
  Chunkservers& chunkservers_;
  BrickPhase& bricks_;
  ImageStore& images_;
  ChunkserverAdmission& admission_;
  KeyService& keys_;
  SyncPointExchange& exchange_;
  const VolumeView& view_;
};

}  // namespace kfs::meta

// A volume as people see it: the configuration of it, and its numbers where it is served. Loop's thread only.
#pragma once

#include "metaserver/executor/executor.h"
#include "metaserver/hosting/mover.h"
#include "metaserver/hosting/volume_host.h"
#include "metaserver/losses/lost_chunks.h"
#include "metaserver/members/member.h"

namespace kfs::meta {

class VolumeView {
 public:
  VolumeView(const Member& member, const VolumeHost& volumes, const Mover& mover, const LostChunks& lost,
             Executor& executor)
      : member_(member), volumes_(volumes), mover_(mover), lost_(lost), executor_(executor) {}

  void Fill(const pb::VolumeConf& conf, pb::VolumeInfo* out) const;

 private:
  const Member& member_;
  const VolumeHost& volumes_;
  const Mover& mover_;
  const LostChunks& lost_;
  Executor& executor_;
};

}  // namespace kfs::meta

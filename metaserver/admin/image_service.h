// The ops on copies of volumes' databases: moving, backup, restoring. Loop's thread only.
#pragma once

#include <string>

#include "common/lifetime.h"
#include "metaserver/hosting/mover.h"
#include "metaserver/hosting/volume_host.h"
#include "metaserver/images/image_reader.h"
#include "metaserver/images/image_store.h"
#include "metaserver/members/member.h"
#include "metaserver/service/own_volumes.h"
#include "rpc/server.h"

namespace kfs::meta {

class ImageService {
 public:
  ImageService(Member& member, const OwnVolumes& own, VolumeHost& volumes, ImageStore& images,
               ImageReader& reader, Mover& mover)
      : member_(member), own_(own), volumes_(volumes), images_(images), reader_(reader), mover_(mover) {}

  // It outlives the server's connections.
  void Register(Server& server);
  // What is under way ends unanswered.
  void Stop() { lifetime_.End(); }

 private:
  void Move(const IncomingCallPtr& call, const pb::VolumeMoveRequest& request);
  void Backup(const IncomingCallPtr& call, const pb::ImageGetRequest::Open& request);
  void BackupLeft(const IncomingCallPtr& call, const std::string& name);
  void Restore(const IncomingCallPtr& call, const pb::VolumeRestoreRequest& request);

  Member& member_;
  const OwnVolumes& own_;
  VolumeHost& volumes_;
  ImageStore& images_;
  ImageReader& reader_;
  Mover& mover_;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

// This metaserver's part in SyncPoints: whom it tells how far its volumes are durable, and whom it believes.
// Loop's thread only.
#pragma once

#include "metaserver/chunks/chunkservers.h"
#include "metaserver/executor/executor.h"
#include "metaserver/hosting/sync_points.h"
#include "metaserver/hosting/volume_host.h"
#include "metaserver/members/member.h"

namespace kfs::meta {

// What is announced of a volume that is open here.
pb::SyncPoint PointOf(const SyncPoints& points, const Volume& volume);

class SyncPointExchange {
 public:
  SyncPointExchange(Clock& clock, SyncPoints& points, const Executor& executor, VolumeHost& volumes,
                    const Chunkservers& chunkservers, Member& member);

  // Closes what turns out to be an older copy.
  void Heard(const pb::SyncPoint& point);
  void Heard(const google::protobuf::RepeatedPtrField<pb::SyncPoint>& points);
  // What is new for a chunkserver, with an answer to it.
  void TellChunkserver(ServerId server, pb::HeartbeatReply* reply);
  // It has begun anew, and may have forgotten what it was told.
  void ForgetTold(const std::string& receiver) { told_.Forget(receiver); }
  void TellMembers();
  // In another cluster from here on.
  void BeginAnew(std::string key);

  // Not OK (EAGAIN): nobody who would know an older copy has been heard yet.
  Status Vouched() const;

 private:
  static constexpr auto kVouchedWithin = std::chrono::seconds(3);

  Clock& clock_;
  SyncPoints& points_;
  const Executor& executor_;
  VolumeHost& volumes_;
  const Chunkservers& chunkservers_;
  Member& member_;
  const MonoTime vouched_by_;  // whoever opens a session waits no longer for that
  PointsTold told_;
};

}  // namespace kfs::meta

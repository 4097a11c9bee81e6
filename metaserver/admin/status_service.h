// What 'kfs status', 'kfs health' and 'kfs volume list' show of this metaserver and what it serves. Reads
// only; loop's thread.
#pragma once

#include <deque>

#include "metaserver/admin/link_view.h"
#include "metaserver/base/alarms.h"
#include "metaserver/chunks/chunkservers.h"
#include "metaserver/executor/executor.h"
#include "metaserver/hosting/volume_host.h"
#include "metaserver/members/member.h"
#include "metaserver/service/volume_view.h"
#include "rpc/server.h"

namespace kfs::meta {

class StatusService {
 public:
  struct Parts {
    Server& server;
    const Member& member;
    const Executor& executor;
    const VolumeHost& volumes;
    const Chunkservers& chunkservers;
    Alarms& alarms;
    const VolumeView& view;
    const LinkView& links;
  };
  // All of them outlive the server's connections, and so does this.
  StatusService(EventLoop& loop, const Parts& parts, int64_t started_wall);

  void Register();
  // On the loop.
  void Start();

 private:
  // Of ops that answer by themselves, at the end of each of the last periods; the newest last.
  struct OpTimes {
    uint64_t count = 0, micros = 0;
  };
  static constexpr auto kOpPeriod = std::chrono::seconds(10);
  static constexpr size_t kOpPeriods = 6;

  OpTimes OpTimesNow() const;
  void Fill(pb::ClusterStatusReply* reply) const;
  void FillChunkservers(pb::ClusterStatusReply* reply) const;
  void FillAlarms(pb::ClusterStatusReply* reply) const;
  void FillSessions(pb::ClusterStatusReply* reply) const;

  EventLoop& loop_;
  Server& server_;
  const Member& member_;
  const Executor& executor_;
  const VolumeHost& volumes_;
  const Chunkservers& chunkservers_;
  Alarms& alarms_;
  const VolumeView& view_;
  const LinkView& links_;
  const int64_t started_wall_;
  std::deque<OpTimes> op_times_;
  EventLoop::Timer op_times_timer_;
};

}  // namespace kfs::meta

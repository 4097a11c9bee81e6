// The op that lists which files have chunks on a chunkserver. Loop's thread only.
#pragma once

#include "common/lifetime.h"
#include "metaserver/executor/executor.h"
#include "metaserver/members/member.h"
#include "metaserver/service/own_volumes.h"
#include "rpc/job_thread.h"
#include "rpc/server.h"

namespace kfs::meta {

class FilesService {
 public:
  FilesService(JobThread& scans, const Member& member, const OwnVolumes& own, Executor& executor)
      : scans_(scans), member_(member), own_(own), executor_(executor) {}

  // It outlives the server's connections.
  void Register(Server& server);

 private:
  void List(const IncomingCallPtr& call, const pb::ChunkserverFilesRequest& request);

  JobThread& scans_;
  const Member& member_;
  const OwnVolumes& own_;
  Executor& executor_;
  int pages_listed_ = 0;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

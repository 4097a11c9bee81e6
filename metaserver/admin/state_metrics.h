// Metrics of what an operator looks after: peers, volumes, mounts, chunkservers, room. Loop's thread.
#pragma once

#include <string>

#include "common/file_ops.h"
#include "metaserver/chunks/chunkservers.h"
#include "metaserver/executor/executor.h"
#include "metaserver/hosting/disk_watch.h"
#include "metaserver/losses/lost_chunks.h"
#include "metaserver/members/member.h"
#include "rpc/metrics.h"

namespace kfs::meta {

class StateMetrics {
 public:
  StateMetrics(FileOps& files, std::string data_dir, const DiskWatch& disk, const Member& member,
               const Chunkservers& chunkservers, Executor& executor, const LostChunks& lost)
      : files_(files),
        data_dir_(std::move(data_dir)),
        disk_(disk),
        member_(member),
        chunkservers_(chunkservers),
        executor_(executor),
        lost_(lost) {}

  // It outlives them.
  void Register(Metrics& metrics) const;

 private:
  void ShowCluster(MetricsPage& page) const;
  void ShowSessions(MetricsPage& page) const;
  void ShowChunkservers(MetricsPage& page) const;
  void ShowRoom(MetricsPage& page) const;

  FileOps& files_;
  const std::string data_dir_;
  const DiskWatch& disk_;
  const Member& member_;
  const Chunkservers& chunkservers_;
  Executor& executor_;
  const LostChunks& lost_;
};

}  // namespace kfs::meta

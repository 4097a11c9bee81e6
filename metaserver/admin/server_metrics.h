// Metrics of what the metaserver does: ops, memory, connections, the volumes' records. Loop's thread.
#pragma once

#include "metaserver/executor/executor.h"
#include "metaserver/store/db.h"
#include "rpc/metrics.h"
#include "rpc/server.h"

namespace kfs::meta {

class ServerMetrics {
 public:
  ServerMetrics(const Server& server, const Executor& executor, const DbMemory& memory)
      : server_(server), executor_(executor), memory_(memory) {}

  // It outlives them.
  void Register(Metrics& metrics) const;

 private:
  void ShowServer(MetricsPage& page) const;
  void ShowVolumes(MetricsPage& page) const;

  const Server& server_;
  const Executor& executor_;
  const DbMemory& memory_;
};

}  // namespace kfs::meta

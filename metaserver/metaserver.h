// A metaserver: its parts are put together (parts.h), tied to what they serve, started and stopped; what they
// do is theirs.
//
//   store, chunkservers, executor     what there is
//   member, peers                     one of a cluster (members/)
//   volumes                           what of it is served here (hosting/)
//   service/                          the ops of mounts, chunkservers and keys, and what the configuration
//   means admin/                            the ops and metrics for people
//
// Everything is on one EventLoop but the WAL sync thread and the job threads (cold reads, copies, scans,
// volumes being opened). Start, Stop and the destructor are for the thread that runs the loop (or before it
// runs).
#pragma once

#include <memory>
#include <string>

#include "common/file_ops.h"
#include "metaserver/options.h"
#include "metaserver/store/db_env.h"
#include "rpc/daemon.h"

namespace kfs::meta {

// What a metaserver has of its machine beside the loop; outlives it. Null: the machine's own.
struct MetaSurroundings {
  FileOps* files = nullptr;  // where the data directory lies, but for databases
  DbEnv databases = {};
};

struct MetaParts;

class MetaServer : public Daemon {
 public:
  MetaServer(EventLoop& loop, const MetaOptions& options, MetaSurroundings surroundings = {});
  ~MetaServer() override;

  Status Start() override;
  void Stop() override;

  // Once it has started.
  std::string address() const;
  const std::string& cluster_id() const;

 private:
  Status Serve(MetaParts& p);
  Status StartMonitor(MetaParts& p);
  void StartTimers(MetaParts& p);

  EventLoop& loop_;
  const MetaOptions& options_;
  FileOps& files_;
  const DbEnv databases_;
  std::unique_ptr<MetaParts> parts_;
};

}  // namespace kfs::meta

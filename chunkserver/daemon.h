// The chunkserver put together: store, pool, server, links. Built and run on one thread, which becomes the
// loop's.
#pragma once

#include <functional>
#include <memory>

#include "chunkserver/options.h"
#include "common/file_ops.h"
#include "common/status.h"
#include "rpc/daemon.h"

namespace kfs {

class ChunkserverDaemon : public Daemon {
 public:
  // `files`, which outlives it: where the data directories lie. Null: the machine's.
  ChunkserverDaemon(EventLoop& loop, const ChunkserverOptions& options, FileOps* files = nullptr);
  ~ChunkserverDaemon() override;

  // Opens the disks, listens, begins to register.
  Status Start() override;
  std::string address() const;  // listened on
  bool registered() const;      // with at least one metaserver
  void Stop() override;

  // Instead of ending the process when another one has this chunkserver's uuid. Before Start; for tests.
  void OnMustEnd(std::function<void()> fn);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kfs

// The chunkserver put together: store, pool, server, links. Built and run on one thread, which becomes the
// loop's.
#pragma once

#include <memory>

#include "chunkserver/options.h"
#include "common/status.h"
#include "rpc/event_loop.h"

namespace kfs {

class ChunkserverDaemon {
 public:
  ChunkserverDaemon(EventLoop& loop, const ChunkserverOptions& options);
  ~ChunkserverDaemon();

  // Opens the disks, listens, begins to register. Errors say what to mend.
  Status Start();
  std::string address() const;  // listened on
  bool registered() const;      // with at least one metaserver
  // Stops serving, makes everything durable.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kfs

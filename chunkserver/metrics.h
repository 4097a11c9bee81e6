// What the chunkserver counts, and the page that shows it (Prometheus, pull). Counting is for any thread and
// cheap; the gauges are set by Update, on the loop's thread.
#pragma once

#include <memory>
#include <string>

#include "common/clock.h"
#include "common/status.h"
#include "proto/op_table.h"

namespace kfs {

class AccessGate;
class ChunkStore;

class ChunkMetrics {
 public:
  ChunkMetrics();
  ~ChunkMetrics();

  // Serves http://ADDRESS/metrics on a thread of its own.
  Status Listen(const std::string& address);
  void Count(Op op, const Status& status, Duration took, uint64_t bytes);
  void Update(const ChunkStore& store, size_t waiting, const AccessGate& gate);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kfs

// What the chunkserver counts and shows (rpc/metrics.h). The loop's thread.
#pragma once

#include <memory>

#include "rpc/op_counts.h"

namespace kfs {

class AccessGate;
class ChunkStore;
class IoPool;
class Server;

struct ChunkMetrics {
  std::shared_ptr<OpCounts> ops;  // of clients, and of metaservers on the connections that we open
  Counter read_bytes, written_bytes;
};

// What metrics are shown of; all outlive the registry's sources.
struct ShownChunkserver {
  const ChunkMetrics* metrics = nullptr;
  const ChunkStore* store = nullptr;
  const IoPool* pool = nullptr;
  const AccessGate* gate = nullptr;
  const Server* server = nullptr;
};
void ShowChunkserver(const ShownChunkserver& shown, Metrics& metrics);

}  // namespace kfs

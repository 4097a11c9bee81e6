// A chunkserver that keeps its chunks in memory: reads, writes, syncs, holes, and versions that are compared
// as the real one does. On the thread of whoever made its Server.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rpc/server.h"

namespace kfs::test {

constexpr uint64_t kChunkSize = 64 << 10;

struct FakeChunk {
  uint64_t version = 1;
  std::string data;
};

struct FakeChunkserver {
  std::unique_ptr<Server> server;
  std::map<uint64_t, FakeChunk> chunks;
  std::vector<uint64_t> synced;
  uint64_t boot = 1;
  // True: the call was dealt with.
  std::function<bool(const IncomingCallPtr&)> intercept;
};

// Sets up its server, which is there already, before it listens; `s` outlives it.
void ServeChunks(FakeChunkserver& s);

}  // namespace kfs::test

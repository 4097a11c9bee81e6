// The lasting connection to one metaserver: registers, sends heartbeats, serves what the metaserver asks, and
// reports the inventory. Loop's thread.
//
//   connected -> [cluster adopted or refused] -> RegisterChunkserver -> Heartbeat every heartbeat_ms
//                                                                    -> ReportChunks folder by folder, then
//                                                                    hourly
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "chunkserver/chunk_store.h"
#include "chunkserver/io_pool.h"
#include "chunkserver/service.h"
#include "rpc/net_client.h"

namespace kfs {

class MetaserverLink {
 public:
  struct Options {
    std::string metaserver;  // host:port
    std::string secret;
    std::string address;  // ours, as clients reach it
    std::vector<std::pair<std::string, std::string>> labels;
    Duration inventory_interval = std::chrono::hours(1);
    int64_t inventory_rate = 5000;  // chunks in a second
  };
  MetaserverLink(EventLoop& loop, ChunkStore* store, IoPool* pool, ChunkService* service, Options options);
  ~MetaserverLink();

  // Runs when the cluster is known, also when it was before.
  void OnCluster(std::function<void(const std::string&)> fn) { on_cluster_ = std::move(fn); }
  void Start();
  bool registered() const { return registered_; }

 private:
  struct Batch {
    ChunkStore::Held held;
    ChunkStore::Cursor cursor;
  };
  void Disconnected(const Status& why);
  void SendHeartbeat();
  void ScanNext();
  void Report(std::shared_ptr<Batch> batch, size_t from);
  void DeleteGarbage(VolumeId volume, std::vector<uint64_t> garbage, std::function<void()> then);
  template <typename Request>
  void FillDisks(Request* request) const;

  EventLoop& loop_;
  ChunkStore* const store_;
  IoPool* const pool_;
  ChunkService* const service_;
  const Options options_;
  std::unique_ptr<NetClient> client_;
  std::function<void(const std::string&)> on_cluster_;
  EventLoop::Timer heartbeat_, inventory_, complain_;
  bool registered_ = false, heartbeat_under_way_ = false, scanning_ = false;
  ChunkStore::Cursor cursor_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kfs

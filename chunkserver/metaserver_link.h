// The lasting connection to one metaserver: registers, sends heartbeats, serves what the metaserver asks, and
// reports the inventory. Loop's thread.
//
//   connected -> [cluster adopted or refused] -> RegisterChunkserver -> Heartbeat every heartbeat_ms
//                                                                    -> Inventory
//
// A metaserver may not accept the registration yet (kTryAgain: it is being recorded; EACCES: an administrator
// has to): tried again until it does. When another process runs under our uuid, it is that one's
// (kRunsTwice), and an older copy of our data is not ours (kOlderCopy): the daemon ends.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "chunkserver/chunk_store.h"
#include "chunkserver/inventory.h"
#include "chunkserver/io_pool.h"
#include "chunkserver/service.h"
#include "chunkserver/sync_points.h"
#include "common/lifetime.h"
#include "rpc/net_client.h"

namespace kfs {

class MetaserverLink {
 public:
  struct Options {
    std::string metaserver;  // host:port
    Credentials credentials;
    std::string address;  // ours, as clients reach it
    std::string instance;
    std::vector<std::pair<std::string, std::string>> labels;
    std::shared_ptr<Dispatcher> dispatcher;  // serves what the metaserver asks
  };
  struct Hooks {
    // The cluster is known, also when it was before.
    std::function<void(const std::string&)> on_cluster;
    // After each registration and heartbeat: which members there are, as of which generation (0: not said).
    std::function<void(uint64_t generation, std::vector<std::string>)> on_members;
    // Shared by all links.
    SyncPoints* synced = nullptr;
    // The newest generation that any metaserver has told.
    std::function<uint64_t()> newest_generation;
    // We must end: another process has our uuid (kRunsTwice), or our data is an older copy (kOlderCopy).
    std::function<void(const Status& why)> on_must_end;
    // A metaserver has us registered.
    std::function<void()> on_taken = {};
    // Told with each heartbeat: links without TLS.
    std::function<void(pb::HeartbeatRequest*)> fill_links = {};
  };
  MetaserverLink(EventLoop& loop, ChunkStore* store, IoPool* pool, ChunkService* service,
                 InventoryTurns* turns, Options options, Hooks hooks);
  ~MetaserverLink();

  void Start();
  const std::string& metaserver() const { return options_.metaserver; }
  bool registered() const { return registered_; }
  void TunablesChanged() { inventory_->Retime(); }
  // Why not, for a person.
  Status problem() const;
  // It is in order but for an administrator's consent.
  bool waits_for_consent() const { return waits_for_consent_; }

 private:
  void Register(const ConnectionPtr& connection, NetClient::ReadyFn ready);
  void Registered(const pb::RegisterChunkserverReply& reply);
  void Refused(const Status& why);
  void Disconnected(const Status& why);
  void SendHeartbeat();
  template <typename Reply>
  void TakeMembers(const Reply& reply);

  EventLoop& loop_;
  ChunkStore* const store_;
  ChunkService* const service_;
  const Options options_;
  const Hooks hooks_;
  std::unique_ptr<NetClient> client_;
  std::unique_ptr<Inventory> inventory_;
  EventLoop::Timer heartbeat_;
  bool registered_ = false, heartbeat_under_way_ = false, waits_for_consent_ = false;
  uint64_t generation_ = 0;    // that this metaserver told last
  uint64_t missing_told_ = 0;  // MissingChunks::Fill
  std::string refusal_;        // logged last
  Lifetime lifetime_;
};

}  // namespace kfs

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

// The chunkserver, as a link sees it. Outlives it.
class MetaserverLinkEnv {
 public:
  virtual ~MetaserverLinkEnv() = default;
  // The cluster is known, also when it was before.
  virtual void OnCluster(const std::string& cluster) = 0;
  // A metaserver has us registered.
  virtual void OnTaken() = 0;
  // We must end: another process has our uuid (kRunsTwice), or our data is an older copy (kOlderCopy).
  virtual void OnMustEnd(const std::string& metaserver, const Status& why) = 0;
  // Told with each heartbeat: links of others to us that are without TLS.
  virtual void FillLinks(pb::HeartbeatRequest* request) = 0;
};

// What links have in common. Outlives them.
class SharedByLinks {
 public:
  virtual ~SharedByLinks() = default;
  // After each registration and heartbeat of the metaserver at `from`: which members there are, as of which
  // generation (0: not said).
  virtual void Learned(const std::string& from, uint64_t generation,
                       const std::vector<std::string>& members) = 0;
  // The newest generation that any metaserver has told.
  virtual uint64_t newest_generation() const = 0;
  virtual SyncPoints& synced() = 0;
};

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
  MetaserverLink(EventLoop& loop, ChunkStore* store, IoPool* pool, ChunkService* service,
                 InventoryTurns* turns, Options options, MetaserverLinkEnv& env, SharedByLinks& shared);
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
  MetaserverLinkEnv& env_;
  SharedByLinks& shared_;
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

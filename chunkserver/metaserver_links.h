// A link to each metaserver of the cluster. Loop's thread.
//
// Those that the configuration names come first; each of them tells all members of the cluster, with a
// generation: members that are new get a link, and once one of the members has us registered, links to others
// are dropped. What was learned is kept on the disks (known_metaservers.h), so that a restart finds the
// cluster even if the machine that the configuration names is gone.
//
//   options, disks -> links -> RegisterChunkserverReply, HeartbeatReply -> members -> links
//                                                                               \-> disks
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "chunkserver/known_metaservers.h"
#include "chunkserver/metaserver_link.h"
#include "common/lifetime.h"

namespace kfs {

class MetaserverLinks : public SharedByLinks {
 public:
  // More members than this are not registered with, nor more addresses of the configuration tried.
  static constexpr size_t kMembersMax = 32;
  static constexpr Duration kComplainEvery = std::chrono::seconds(10);
  // How far volumes have been durable is kept on the disks at most so often.
  static constexpr Duration kSaveSyncedEvery = std::chrono::seconds(10);

  struct Options {
    std::vector<std::string> metaservers;  // as the configuration names them
    MetaserverLink::Options link;          // `metaserver` is set for each
  };
  // REQUIRES: the pool is stopped before the store goes.
  MetaserverLinks(EventLoop& loop, ChunkStore* store, IoPool* pool, ChunkService* service, Options options,
                  MetaserverLinkEnv& env);
  ~MetaserverLinks() override;

  void Start();
  void TunablesChanged();
  bool registered() const;  // with at least one
  std::vector<std::string> addresses() const;

 private:
  void Open(const std::string& address);
  void Learned(const std::string& from, uint64_t generation,
               const std::vector<std::string>& members) override;
  uint64_t newest_generation() const override { return known_.generation; }
  SyncPoints& synced() override { return synced_; }
  void Settle();
  void Save();
  void SaveSynced();
  void Complain() const;

  EventLoop& loop_;
  ChunkStore* const store_;
  IoPool* const pool_;
  ChunkService* const service_;
  const Options options_;
  MetaserverLinkEnv& env_;
  InventoryTurns turns_;                                          // outlives the links
  std::map<std::string, std::unique_ptr<MetaserverLink>> links_;  // by address
  KnownMetaservers known_;
  bool confirmed_ = false;  // a metaserver has said so since we started
  bool settling_ = false;   // Settle is on its way
  bool saving_ = false;
  uint64_t saved_ = 0;  // generation on the disks
  SyncPoints synced_;
  uint64_t synced_saved_ = 0;  // SyncPoints::changes on the disks
  bool saving_synced_ = false;
  EventLoop::Timer complain_, save_synced_;
  Lifetime lifetime_;
};

}  // namespace kfs

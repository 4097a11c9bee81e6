// What the metaserver stores beside the configuration: its cluster's id, which volumes' databases are on its
// disk, how often it has started. (The member's record and the chunkservers' addresses are in the same
// database.) Changes are stored in the order of the calls, and
// `durable` is called as RecordSync says. Loop's thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/entropy.h"
#include "common/types.h"
#include "metaserver/store/db.h"
#include "metaserver/store/record_sync.h"
#include "metaserver/store/records.pb.h"

namespace kfs::meta {

class ClusterStore {
 public:
  // Opens data_dir/cluster; makes a cluster id at the first start.
  static Result<std::unique_ptr<ClusterStore>> Open(const std::string& data_dir, DbMemory& memory,
                                                    Entropy& entropy = SystemRandom());

  const std::string& cluster_id() const { return cluster_id_; }
  // The metaserver has joined another cluster.
  void SetClusterId(const std::string& id);
  uint64_t starts() const { return starts_; }

  // Databases that are there, whole.
  const std::map<VolumeId, rec::Volume>& volumes() const { return volumes_; }
  void PutVolume(const rec::Volume& volume, std::function<void()> durable);
  void RemoveVolume(VolumeId id);

  Db& db() { return *db_; }
  // Changes are synced by that thread from now on; null: before the call returns.
  void SyncOn(WalSync* thread) { sync_->UseThread(thread); }

 private:
  Status Load(Entropy& entropy);

  void Save(std::function<void()> durable = [] {});

  std::unique_ptr<Db> db_;
  std::optional<RecordSync> sync_;
  std::string cluster_id_;
  uint64_t starts_ = 0;
  std::map<VolumeId, rec::Volume> volumes_;
};

}  // namespace kfs::meta

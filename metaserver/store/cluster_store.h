// What the metaserver stores beside the configuration: its cluster's id, which volumes' databases are on its
// disk, how often it has started. (The member's record and the chunkservers' addresses are in the same
// database.) Every change is synced before the call returns. Loop's thread only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/entropy.h"
#include "common/types.h"
#include "metaserver/store/db.h"
#include "metaserver/store/records.pb.h"

namespace kfs::meta {

class ClusterStore {
 public:
  // Opens data_dir/cluster; makes a cluster id at the first start.
  static Result<std::unique_ptr<ClusterStore>> Open(const std::string& data_dir, DbMemory& memory,
                                                    Entropy& entropy = SystemRandom());

  const std::string& cluster_id() const { return cluster_id_; }
  // The metaserver has joined another cluster.
  Status SetClusterId(const std::string& id);
  uint64_t starts() const { return starts_; }

  // Databases that are there, whole.
  const std::map<VolumeId, rec::Volume>& volumes() const { return volumes_; }
  Status PutVolume(const rec::Volume& volume);
  Status RemoveVolume(VolumeId id);

  Db& db() { return *db_; }

 private:
  Status Load(Entropy& entropy);
  Status Save();

  std::unique_ptr<Db> db_;
  std::string cluster_id_;
  uint64_t starts_ = 0;
  std::map<VolumeId, rec::Volume> volumes_;
};

}  // namespace kfs::meta

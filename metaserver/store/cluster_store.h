// What the metaserver stores of the cluster as a whole: its id, the volumes, the counters. (Chunkservers have
// their records in the same database; see chunks/chunkservers.h.) Every change is synced before the call
// returns: they are rare, and ids must never be handed out twice. Loop's thread only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/types.h"
#include "metaserver/store/db.h"
#include "metaserver/store/records.pb.h"

namespace kfs::meta {

class ClusterStore {
 public:
  // Opens data_dir/cluster; makes the cluster id at the first start. Counts the incarnation up.
  static Result<std::unique_ptr<ClusterStore>> Open(const std::string& data_dir, DbMemory& memory);

  const std::string& cluster_id() const { return cluster_id_; }
  uint64_t incarnation() const { return incarnation_; }
  bool first_start() const { return first_start_; }
  const std::map<VolumeId, rec::Volume>& volumes() const { return volumes_; }
  const rec::Volume* FindVolume(const std::string& name) const;

  // Gives the volume an id.
  Result<rec::Volume> AddVolume(rec::Volume volume);
  Status UpdateVolume(const rec::Volume& volume);
  Status RemoveVolume(VolumeId id);
  // Ids below have been handed out, though the volume may be gone.
  VolumeId next_volume() const { return next_volume_; }

  Db& db() { return *db_; }

 private:
  Status Load();
  Status Save();

  std::unique_ptr<Db> db_;
  std::string cluster_id_;
  uint64_t incarnation_ = 0;
  bool first_start_ = false;
  VolumeId next_volume_{1};
  std::map<VolumeId, rec::Volume> volumes_;
};

}  // namespace kfs::meta

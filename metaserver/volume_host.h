// Which volumes this metaserver serves: opens, makes, closes and deletes their databases as the configuration
// says. Loop's thread only.
//
// A volume that is in the configuration with this member as its owner is opened. Its database is made only
// when it certainly has never been there: a member that lost its disk must not serve an empty volume, whose
// chunks would all be garbage.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "metaserver/chunks/chunkservers.h"
#include "metaserver/executor/executor.h"
#include "metaserver/images/image_store.h"
#include "metaserver/store/cluster_store.h"
#include "metaserver/sync_points.h"
#include "proto/cluster.pb.h"

namespace kfs::meta {

class VolumeHost {
 public:
  struct Options {
    std::string data_dir;
    size_t cache_bytes = 0;
  };
  VolumeHost(Options options, ClusterStore& cluster, DbMemory& memory, Executor& executor,
             Chunkservers& chunkservers, Clock& clock, ImageStore& images, const SyncPoints& points);

  // Makes what is open agree with the configuration. A volume that cannot be opened is named in Trouble();
  // the first such error is given back, but for damage: what is damaged is restored by a metaserver that
  // runs. `self` and `incarnation`: this member.
  Status Apply(const pb::ClusterConf& conf, const std::string& self, uint64_t incarnation);
  // Why a volume is not served here, for a client that asks for it.
  Status Where(const pb::ClusterConf& conf, const std::string& self, const std::string& name) const;
  // OK: none.
  Status Trouble(VolumeId id) const;
  // Closes it if its database has been found damaged. It stays closed until it is stopped, and may be
  // restored and started then. REQUIRES: not within an executor's call.
  void CloseDamaged(VolumeId id);
  // The same when somebody has heard of a later state of it than it was opened with.
  void CloseOlder(VolumeId id);

  // ---- handing over (images/mover.h)
  // Null: it is not open.
  Db* OpenDb(VolumeId id) const;
  // Closes it, and keeps it closed; `why` is what callers are told. Unhold lets the next Apply open it.
  void Hold(VolumeId id, const Status& why);
  // The same of a volume that is stopped, with its database, to be copied. Closed by the caller, before
  // Unhold. EBUSY: it is held already.
  Result<std::unique_ptr<Db>> HoldStopped(const pb::ClusterConf& conf, const pb::VolumeConf& v,
                                          uint64_t incarnation, const Status& why);
  void Unhold(VolumeId id) { held_.erase(id); }
  // Durably: its database does not change until the configuration has decided on the transfer. REQUIRES: it
  // is closed.
  Status Seal(VolumeId id, const std::string& transfer, uint64_t epoch);
  Status Unseal(VolumeId id);
  // Whether it is still sealed at the configuration's epoch.
  bool IsSealed(const pb::VolumeConf& v) const;

  std::string Path(VolumeId id) const;

 private:
  Status Open(const pb::ClusterConf& conf, const pb::VolumeConf& v, uint64_t incarnation);
  // Known to the cluster's store afterwards.
  Result<std::unique_ptr<Db>> OpenKnown(const pb::ClusterConf& conf, const pb::VolumeConf& v,
                                        uint64_t incarnation);
  Result<std::unique_ptr<Db>> OpenStamped(const pb::ClusterConf& conf, const pb::VolumeConf& v,
                                          uint64_t incarnation);
  // A backup becomes this volume's database: other numbers, no sessions. Called before it takes the place of
  // the present one, beyond whose numbers it goes on.
  Status PrepareRestored(const std::string& path, const pb::ClusterConf& conf, const pb::VolumeConf& v);
  // Raises the counters and the line to those of a database that may be there. What cannot be read is passed
  // over: a volume is restored because it is damaged, perhaps.
  void RaiseTo(const std::string& database, rec::VolumeCounters* counters, uint64_t* line) const;
  // The copy that the configuration names, if it is here and has not been begun with.
  Status TakeCopy(const pb::ClusterConf& conf, const pb::VolumeConf& v);
  Status Delete(VolumeId id);

  const Options options_;
  ClusterStore& cluster_;
  DbMemory& memory_;
  Executor& executor_;
  Chunkservers& chunkservers_;
  Clock& clock_;
  ImageStore& images_;
  const SyncPoints& points_;
  std::map<VolumeId, Status> trouble_;
  std::map<VolumeId, Status> damaged_;  // or older copies: not opened before they are stopped
  std::map<VolumeId, Status> held_;
};

}  // namespace kfs::meta

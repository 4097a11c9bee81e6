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
#include "metaserver/store/cluster_store.h"
#include "proto/cluster.pb.h"

namespace kfs::meta {

class VolumeHost {
 public:
  struct Options {
    std::string data_dir;
    size_t cache_bytes = 0;
  };
  VolumeHost(Options options, ClusterStore& cluster, DbMemory& memory, Executor& executor,
             Chunkservers& chunkservers, Clock& clock);

  // Makes what is open agree with the configuration. A volume that cannot be opened is named in Trouble();
  // the first such error is given back. `self` and `incarnation`: this member.
  Status Apply(const pb::ClusterConf& conf, const std::string& self, uint64_t incarnation);
  // Why a volume is not served here, for a client that asks for it.
  Status Where(const pb::ClusterConf& conf, const std::string& self, const std::string& name) const;
  // OK: none.
  Status Trouble(VolumeId id) const;

  std::string Path(VolumeId id) const;

 private:
  Status Open(const pb::ClusterConf& conf, const pb::VolumeConf& v, uint64_t incarnation);
  Result<std::unique_ptr<Db>> OpenStamped(const pb::ClusterConf& conf, const pb::VolumeConf& v,
                                          uint64_t incarnation);
  Status Delete(VolumeId id);

  const Options options_;
  ClusterStore& cluster_;
  DbMemory& memory_;
  Executor& executor_;
  Chunkservers& chunkservers_;
  Clock& clock_;
  std::map<VolumeId, Status> trouble_;
};

}  // namespace kfs::meta

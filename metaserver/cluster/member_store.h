// Where a member keeps its record. In the daemon it lies in the cluster's database; in the simulation it can
// fail before or after a write.
#pragma once

#include "proto/cluster.pb.h"

namespace kfs::meta {

class MemberStore {
 public:
  virtual ~MemberStore() = default;
  virtual pb::MemberRecord Load() = 0;
  // Durable when it returns; a store that cannot do so ends the process (what was promised could be
  // forgotten).
  virtual void Save(const pb::MemberRecord& record) = 0;
  // False: there may be no room for another record. Whoever may not be able to keep a promise makes none.
  virtual bool HasRoom() const { return true; }
};

}  // namespace kfs::meta

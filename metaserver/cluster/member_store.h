// Where a member keeps its record. In the daemon it lies in the cluster's database; in the simulation it can
// fail before or after a write.
#pragma once

#include <functional>

#include "proto/cluster.pb.h"

namespace kfs::meta {

class MemberStore {
 public:
  virtual ~MemberStore() = default;
  // The one that was saved last, durable or not.
  virtual pb::MemberRecord Load() = 0;
  // `durable` is called once the record, and so all that were saved before it, survive the loss of power:
  // before this returns, or later on the loop. A store that cannot do so ends the process (what was promised
  // could be forgotten).
  virtual void Save(const pb::MemberRecord& record, std::function<void()> durable) = 0;
  // False: there may be no room for another record. Whoever may not be able to keep a promise makes none.
  virtual bool HasRoom() const { return true; }
};

}  // namespace kfs::meta

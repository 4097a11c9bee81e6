// What the cluster's state machines need from outside. The daemon gives them clocks and sockets, the
// simulation virtual ones. Calls come on one thread.
#pragma once

#include <functional>
#include <string>

#include "common/clock.h"
#include "common/status.h"
#include "proto/cluster.pb.h"

namespace kfs::meta {

class ClusterEnv {
 public:
  virtual ~ClusterEnv() = default;
  virtual MonoTime Now() const = 0;
  virtual uint64_t Random() = 0;
  virtual std::string NewTransactionId() = 0;
  // May be lost, late, doubled or out of order.
  virtual void Send(const std::string& uuid, const pb::PeerMessage& message) = 0;
  // False: sending is known to be of no use now.
  virtual bool Reachable(const std::string& uuid) const = 0;
  // What only this member can object to (a port that it cannot take, say). Changes nothing.
  virtual Status Validate(const pb::Change& change, const pb::ClusterConf& next) = 0;
  // Prepares this member's chunkservers for `next`, or asks them (`read`). May be repeated, also with a value
  // that is never decided. `done` comes once; the report is for whoever asked.
  virtual void Bricks(const pb::ClusterConf& next, const pb::Ballot& ballot, bool read,
                      std::function<void(Status, std::string report)> done) = 0;
};

}  // namespace kfs::meta

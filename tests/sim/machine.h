// A machine of the simulated cluster: a disk that survives, a process that may not, its clock, and its side
// of the network.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "metaserver/cluster/node.h"

namespace kfs::sim {

constexpr int64_t kMs = 1000000;  // of the world's clock, which counts nanoseconds

class World;

class Machine : public meta::ClusterEnv, public meta::MemberStore {
 public:
  Machine(World& world, std::string uuid, const pb::MemberRecord& record);

  MonoTime Now() const override;
  uint64_t Random() override;
  std::string NewTransactionId() override;
  void Send(const std::string& uuid, const pb::PeerMessage& message) override;
  bool Reachable(const std::string& to) const override;
  Status Validate(const pb::Change&, const pb::ClusterConf&) override { return {}; }
  void Bricks(const pb::ClusterConf& next, const pb::Ballot& ballot, bool read,
              std::function<void(Status, std::string)> done) override;

  pb::MemberRecord Load() override { return disk; }
  void Save(const pb::MemberRecord& record) override;
  bool HasRoom() const override;

  World& world;
  const std::string uuid;
  pb::MemberRecord disk;
  std::unique_ptr<meta::ClusterNode> node;  // null: down
  uint64_t life = 0;                        // rises with each start
  double speed = 1;                         // of its clock
  bool lost = false;                        // never starts again
  int64_t full_until = 0;                   // its disk
  int64_t held_until = 0;                   // what it sends before then leaves then
};

}  // namespace kfs::sim

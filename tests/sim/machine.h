// A machine of the simulated cluster: a disk that survives, a process that may not, its clock, and its side
// of the network.
#pragma once

#include <cstdint>
#include <deque>
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
  void Save(const pb::MemberRecord& record, std::function<void()> durable) override;
  bool HasRoom() const override;
  // Its process has gone: what was written and not synced is there up to some record.
  void EndWrites();

  World& world;
  const std::string uuid;
  pb::MemberRecord disk;  // synced
  struct Write {
    uint64_t number;
    pb::MemberRecord record;
    std::function<void()> durable;
  };
  std::deque<Write> writes;  // that are not, in order
  uint64_t writes_made = 0;
  std::unique_ptr<meta::ClusterNode> node;  // null: down
  uint64_t life = 0;                        // rises with each start
  double speed = 1;                         // of its clock
  bool lost = false;                        // never starts again
  int64_t full_until = 0;                   // its disk
  int64_t held_until = 0;                   // what it sends before then leaves then

 private:
  void Sync(uint64_t up_to);
  void Synced(const pb::MemberRecord& before, const pb::MemberRecord& record);
  // Gives what was there before.
  pb::MemberRecord Keep(const pb::MemberRecord& record);
};

}  // namespace kfs::sim

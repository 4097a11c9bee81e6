// A cluster of metaservers' configuration cores on a virtual clock, network and disk, all driven by one seed.
// Messages are dropped, delayed, doubled and reordered; links are cut; members crash before and after each
// durable write, come back, or lose all they had stored; clocks run at different speeds. What was promised
// (P7) is checked after every event; a violation ends the run with its story.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "metaserver/cluster/node.h"

namespace kfs::sim {

struct Faults {
  double drop = 0, twice = 0, late = 0;                      // of a message
  double drop_commit = 0, late_commit = 0;                   // of a commit, besides
  double crash = 0;                                          // of a durable write: before or after it
  double crash_sending = 0;                                  // right after a message has left
  double crash_each_s = 0, cut_each_s = 0, wipe_each_s = 0;  // of the whole cluster
  double bricks_fail = 0;
  bool cuts_are_noticed = false;  // the sender knows that a link is cut
};

class World;

// One machine: a disk that survives, a process that may not.
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

  World& world;
  const std::string uuid;
  pb::MemberRecord disk;
  std::unique_ptr<meta::ClusterNode> node;  // null: down
  uint64_t life = 0;                        // rises with each start
  double speed = 1;                         // of its clock
};

class World {
 public:
  World(uint64_t seed, size_t members, const Faults& faults);

  // Runs for so long; false once something promised was broken.
  bool Run(Duration time);
  // No more faults; everybody is up and connected.
  void Heal();
  // A random member asks for a random change.
  void SubmitSomething();
  // After Heal: everybody agrees and is everybody's friend, those detached know it, nothing is undecided, no
  // lock is held, a change from each member is made, what was acknowledged is there, and what was refused is
  // not.
  bool Settled();

  const std::string& broken() const { return broken_; }
  std::string Story() const;  // the last events
  struct Counts {
    uint64_t done = 0, refused = 0, unknown = 0, crashes = 0, wipes = 0, messages = 0, generations = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  friend class Machine;
  struct Event {
    int64_t at;
    uint64_t order;
    std::function<void()> run;
    bool operator>(const Event& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  struct Crash {};  // thrown out of a durable write

  void At(int64_t delay_ns, std::function<void()> fn);
  // Runs `fn` on the machine's process, if it is this life's; a crash ends the process.
  void On(Machine& m, uint64_t life, const std::function<void(meta::ClusterNode&)>& fn);
  void Start(Machine& m);
  void Stop(Machine& m);
  void Tick(Machine& m, uint64_t life);
  void Mishaps();
  void Submit(Machine& m, meta::Command command);
  bool ChangeMembers(Machine& m);
  const pb::ClusterConf& Newest() const;
  void CheckFriends();
  void Decided(const std::string& who, const pb::ClusterConf& conf);
  void CheckLock(Machine& m);
  void Break(const std::string& what);
  void Tell(const std::string& what);
  bool Chance(double p) { return p > 0 && std::uniform_real_distribution<>(0, 1)(random_) < p; }

  std::mt19937_64 random_;
  Faults faults_;
  int64_t now_ = 0;
  uint64_t order_ = 0, ids_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::set<std::pair<std::string, std::string>> cut_;
  bool healed_ = false;
  // What is known to all the world: by generation, the checksum and the transaction.
  std::map<uint64_t, std::pair<std::string, std::string>> decided_;
  std::set<std::string> acknowledged_, refused_;
  meta::Command last_;           // change that was begun, with its id
  std::set<std::string> again_;  // ids that were sent more than once
  Counts counts_;
  std::vector<std::string> story_;
  std::string broken_;
};

}  // namespace kfs::sim

// A cluster of metaservers' configuration cores on a virtual clock, network and disk, all driven by one seed.
// Messages are dropped, delayed, doubled and reordered, and held for longer than locks live; links are cut,
// also between some only; members crash before and after each durable write, come back, or lose all they had
// stored; clocks run at different speeds; in some histories several members are lost for good. What was
// promised (P7) is checked after every event; a violation ends the run with its story.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "machine.h"
#include "metaserver/cluster/node.h"
#include "plan.h"
#include "witness.h"

namespace kfs::sim {

// Of the metaservers that belong to it; the others stand alone, each in one of its own.
constexpr char kCluster[] = "sim";

class World {
 public:
  World(uint64_t seed, const Plan& plan);

  // The history's commands and mishaps; false once something promised was broken.
  bool Live();
  // After Live: some are lost, and those that are left give them up.
  bool Disaster();
  // Nobody is left in the cluster.
  bool over() const { return over_; }
  // No more faults; everybody is up and connected.
  void Heal();
  // After Heal: everybody agrees and is everybody's friend, those detached know it, nothing is undecided, no
  // lock is held, a change from each member is made, what was acknowledged is there, and what was refused is
  // not.
  bool Settled();

  const std::string& broken() const { return broken_; }
  std::string Story() const;  // the last events
  struct Counts {
    uint64_t done = 0, refused = 0, unknown = 0, crashes = 0, wipes = 0, messages = 0, generations = 0,
             events = 0;
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
  struct Crash {  // thrown out of a durable write
    bool for_long = false;
  };

  // Runs for so long; false once something promised was broken.
  bool Run(Duration time);
  Machine& Somebody();
  // Somebody asks for a random change.
  void SubmitSomething();
  void At(int64_t delay_ns, std::function<void()> fn);
  // Runs `fn` on the machine's process, if it is this life's; a crash ends the process.
  void On(Machine& m, uint64_t life, const std::function<void(meta::ClusterNode&)>& fn);
  // `becomes`: it goes on as that member.
  void Start(Machine& m, const pb::MemberRecord* becomes = nullptr);
  void Stop(Machine& m, bool for_long = false);
  void Tick(Machine& m, uint64_t life);
  bool SomebodyMissed(const pb::MemberRecord& record) const;
  void Mishaps();
  void Cut();
  void Submit(Machine& m, meta::Command command);
  bool ChangeMembers(Machine& m);
  static bool Alone(const Machine& m);
  void Adopt(Machine& m, const pb::ClusterConf& conf);
  const pb::ClusterConf& Newest() const;
  std::vector<Machine*> Members() const;  // those with a vote in it
  void CheckFriends();
  void Stored(const pb::MemberRecord& before, const pb::MemberRecord& after);
  void CheckLock(Machine& m);
  void Break(const std::string& what);
  void Tell(const std::string& what);
  bool Chance(double p) { return p > 0 && std::uniform_real_distribution<>(0, 1)(random_) < p; }
  int64_t Between(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(random_() % static_cast<uint64_t>(most - least + 1));
  }

  std::mt19937_64 random_;
  const Plan plan_;
  Faults faults_;  // the plan's, until all is healed
  int64_t now_ = 0;
  uint64_t order_ = 0, ids_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<std::unique_ptr<Machine>> machines_, lost_;
  std::set<std::pair<std::string, std::string>> cut_;
  bool healed_ = false, over_ = false;
  Witness witness_;
  meta::Command last_;  // change that was begun, with its id
  Counts counts_;
  std::vector<std::string> story_;
  std::string broken_;
};

}  // namespace kfs::sim

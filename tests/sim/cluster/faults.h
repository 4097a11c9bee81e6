// What goes wrong in a simulated cluster, and when, all drawn from its seed.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/cluster/admin.h"
#include "tests/sim/cluster/machines.h"

namespace kfs::sim {

class Faults {
 public:
  struct Cluster {
    std::vector<MetaMachine*> metas;
    std::vector<ChunkMachine*> chunks;
    std::vector<MountMachine*> mounts;  // with programs
    std::vector<Machine*> all;
    AdminMachine* admin = nullptr;
    std::vector<std::string> volumes;
    bool many_cuts = false;
    bool late_bytes = false;  // of mounts, that come when others go on already
  };
  Faults(World& world, Cluster cluster) : world_(world), cluster_(std::move(cluster)) {}

  void Begin();
  // From here on nothing goes wrong, and what is down stays so until somebody starts it.
  void End();
  bool over() const { return over_; }
  uint64_t count() const { return count_; }
  uint64_t moves() const { return moves_; }  // of volumes, that were done
  // Of mounts, where nothing kept the word of it from the metaservers.
  std::vector<Death> Deaths() const;

 private:
  void One();
  void Hit(Machine* who);
  void Restart(Machine* who);
  void CutOff();
  void ComeLate();
  void WhileItWrites(MountMachine* mount, Nanos patience);
  void ComesNow(const MountMachine* mount);
  void Cut(const std::string& a, const std::string& b, Nanos until);
  void Dies(MountMachine* mount);
  void Move();
  template <typename T>
  T* Any(const std::vector<T*>& of) {
    return of[world_.Draw() % of.size()];
  }

  World& world_;
  const Cluster cluster_;
  struct HostsCut {
    std::string a, b;
    Nanos from = 0, until = 0;
  };
  struct DeadMount {
    std::string host;
    Nanos at = 0;
    Death death;
  };
  std::vector<HostsCut> cuts_;
  std::vector<DeadMount> dead_;
  uint64_t count_ = 0, moves_ = 0;
  bool over_ = false;
};

}  // namespace kfs::sim

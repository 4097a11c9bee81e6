#include "tests/sim/cluster/faults.h"

#include "common/reached.h"

namespace kfs::sim {
namespace {

void CountHit(const Machine* who, bool power) {
  if (dynamic_cast<const MountMachine*>(who) != nullptr) {
    if (power) {
      KFS_REACHED("mishap.mount_lost_power");
    } else {
      KFS_REACHED("mishap.mount_killed");
    }
  } else if (dynamic_cast<const ChunkMachine*>(who) != nullptr) {
    if (power) {
      KFS_REACHED("mishap.chunkserver_lost_power");
    } else {
      KFS_REACHED("mishap.chunkserver_killed");
    }
  } else if (power) {
    KFS_REACHED("mishap.metaserver_lost_power");
  } else {
    KFS_REACHED("mishap.metaserver_killed");
  }
}

// Programs are at work for about as long.
constexpr Nanos kFaultsWithin = 2 * kSecond;
constexpr double kFlushChance = 0.05;

}  // namespace

void Faults::Begin() {
  Mishaps& m = world_.mishaps;
  m.stop_chance = world_.Chance(0.5) ? 0.00002 : 0;
  m.stop_max = world_.Between(kMilli, 20 * kSecond);
  m.slow_chance = world_.Chance(0.5) ? 0.02 : 0;
  m.cut_chance = world_.Chance(0.5) ? cluster_.many_cuts ? 0.03 : 0.003 : 0;
  const double flush_chance = world_.Chance(0.5) ? kFlushChance : 0;
  for (MetaMachine* meta : cluster_.metas) meta->flush_chance = flush_chance;
  const int faults = static_cast<int>(world_.Between(1, 6));
  for (int i = 0; i < faults; ++i)
    world_.At(world_.now() + world_.Between(0, kFaultsWithin), nullptr, [this] { One(); });
  if (cluster_.metas.size() == 1) return;
  const int moves = static_cast<int>(world_.Between(0, 3));
  for (int i = 0; i < moves; ++i)
    world_.At(world_.now() + world_.Between(0, kFaultsWithin), nullptr, [this] { Move(); });
}

void Faults::End() {
  over_ = true;
  world_.mishaps = {};
  for (Machine* m : cluster_.all) m->disk->BeforeCall({});
}

void Faults::One() {
  if (over_) return;
  ++count_;
  const uint64_t lot = world_.Draw() % 10;
  if (lot < 4) {
    Hit(Any(cluster_.metas));
  } else if (lot < 7) {
    Hit(Any(cluster_.chunks));
  } else if (lot < 8) {
    Hit(Any(cluster_.mounts));
  } else {
    CutOff();
  }
}

void Faults::Hit(Machine* who) {
  const bool power = world_.Chance(0.5);
  // A mount has no disk that it writes to.
  if (dynamic_cast<MountMachine*>(who) == nullptr && world_.Chance(0.5)) {
    who->CrashAtWrite(static_cast<uint64_t>(world_.Between(1, 40)), power);
  } else {
    who->Crash(power);
  }
  CountHit(who, power);
  Restart(who);
}

// Looks now and then whether it is down, and starts it again.
void Faults::Restart(Machine* who) {
  world_.At(world_.now() + world_.Between(kMilli, 3 * kSecond), nullptr, [this, who] {
    if (over_) return;
    if (!who->up()) {
      who->Start();
    } else {
      Restart(who);
    }
  });
}

void Faults::CutOff() {
  const std::string a = Any(cluster_.all)->host->name;
  const std::string b = Any(cluster_.all)->host->name;
  if (a == b) return;
  KFS_REACHED("mishap.hosts_cut_off");
  world_.Cut(a, b, true);
  world_.At(world_.now() + world_.Between(0, 10 * kSecond), nullptr,
            [this, a, b] { world_.Cut(a, b, false); });
}

// Something goes wrong in the midst of one move in two.
void Faults::Move() {
  if (over_) return;
  const std::string& volume = cluster_.volumes[world_.Draw() % cluster_.volumes.size()];
  cluster_.admin->Move(volume, world_.Draw() % cluster_.metas.size(), [this](const Status& s) {
    if (!s.ok()) return;
    KFS_REACHED("mishap.volume_moved");
    ++moves_;
  });
  if (!world_.Chance(0.5)) return;
  world_.At(world_.now() + world_.Between(0, 100 * kMilli), nullptr, [this] {
    if (over_) return;
    ++count_;
    world_.Chance(0.7) ? Hit(Any(cluster_.metas)) : CutOff();
  });
}

}  // namespace kfs::sim

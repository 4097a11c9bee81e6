#include "tests/sim/cluster/faults.h"

#include <algorithm>

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
// Its bytes are on their way by then.
constexpr Nanos kUnderWayWithin = 5 * kMilli;
constexpr Nanos kLooksAgain = 2 * kMilli, kWritesWithin = kSecond, kSoonMax = 1500 * kMilli;
constexpr Nanos kLateMax = 3;
// What was held back is tried again that late.
constexpr Nanos kHeldBackMax = 2 * kSecond;
// A mount that is cut off for so long has not got what it held any more, where sessions expire soon.
constexpr Nanos kExpiresMin = 2 * kSecond, kExpiresMax = 6 * kSecond;

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
  for (Nanos late = cluster_.late_bytes ? world_.Between(1, kLateMax) : 0; late-- > 0;)
    world_.At(world_.now() + world_.Between(0, kFaultsWithin), nullptr, [this] { ComeLate(); });
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
    if (auto* mount = dynamic_cast<MountMachine*>(who); mount != nullptr && !power) Dies(mount);
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
  Cut(a, b, world_.now() + world_.Between(0, 10 * kSecond));
}

void Faults::Cut(const std::string& a, const std::string& b, Nanos until) {
  cuts_.push_back({.a = a, .b = b, .from = world_.now(), .until = until});
  world_.Cut(a, b, true);
  world_.At(until, nullptr, [this, a, b] { world_.Cut(a, b, false); });
}

// What a mount has sent to a chunkserver comes after it has given that up, has ended, or has been away for so long
// that it has lost what it held.
void Faults::ComeLate() {
  if (over_) return;
  ++count_;
  MountMachine* mount = Any(cluster_.mounts);
  for (const ChunkMachine* chunk : cluster_.chunks) world_.Cut(mount->host->name, chunk->host->name, true);
  WhileItWrites(mount, world_.now() + kWritesWithin);
}

void Faults::WhileItWrites(MountMachine* mount, Nanos patience) {
  const auto writes = [](const auto& program) { return program->writes(); };
  if (!mount->up() || over_ || world_.now() >= patience) return ComesNow(mount);
  const auto writer = std::ranges::find_if(mount->programs, writes);
  if (writer == mount->programs.end()) {
    world_.At(world_.now() + kLooksAgain, nullptr,
              [this, mount, patience] { WhileItWrites(mount, patience); });
    return;
  }
  KFS_REACHED("mishap.writes_came_late");
  const std::shared_ptr<Program> program = *writer;
  world_.At(world_.now() + kUnderWayWithin, nullptr, [this, mount, program] {
    const uint64_t lot = world_.Draw() % 6;
    const bool expires = lot >= 4;
    const Nanos until =
        world_.now() + (expires ? world_.Between(kExpiresMin, kExpiresMax) : world_.Between(0, kSoonMax));
    world_.At(until, nullptr, [this, mount] { ComesNow(mount); });
    if (over_ || !mount->up()) return;
    if (lot < 2) {
      program->GiveUp();
    } else if (lot < 4) {
      Dies(mount);
      mount->Crash(false);
      CountHit(mount, false);
      Restart(mount);
    } else if (lot == 4) {
      for (const MetaMachine* meta : cluster_.metas)
        Cut(mount->host->name, meta->host->name, until + world_.Between(0, kSecond));
    } else {
      mount->process->Stop(until - world_.now());
    }
  });
}

void Faults::ComesNow(const MountMachine* mount) {
  for (const ChunkMachine* chunk : cluster_.chunks) world_.Cut(mount->host->name, chunk->host->name, false);
}

void Faults::Dies(MountMachine* mount) {
  if (!mount->up() || !mount->process->alive()) return;
  const Mishaps& m = world_.mishaps;
  const Nanos way = m.slow_chance > 0 ? m.slow_max : m.latency_max;
  dead_.push_back({.host = mount->host->name,
                   .at = world_.now(),
                   .death = {.client = mount->number, .heard = mount->process->Time() + way}});
}

std::vector<Death> Faults::Deaths() const {
  std::vector<Death> deaths;
  for (const DeadMount& dead : dead_) {
    const auto is_meta = [&](const std::string& host) {
      return std::ranges::any_of(cluster_.metas, [&](const MetaMachine* m) { return m->host->name == host; });
    };
    // What was held back comes a while after the hosts reach each other again.
    const bool kept = std::ranges::any_of(cuts_, [&](const HostsCut& c) {
      const bool between = (c.a == dead.host && is_meta(c.b)) || (c.b == dead.host && is_meta(c.a));
      return between && c.from <= dead.death.heard && dead.at <= c.until + kHeldBackMax;
    });
    if (!kept) deaths.push_back(dead.death);
  }
  return deaths;
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

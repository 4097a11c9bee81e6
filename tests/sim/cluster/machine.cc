#include "tests/sim/cluster/machine.h"

#include "common/log.h"
#include "common/reached.h"
#include "rpc/address.h"

namespace kfs::sim {
namespace {

constexpr Nanos kRestartPause = 10 * kMilli;

}  // namespace

Machine::Machine(World& w, const std::string& a, const SimDisk::Options& d)
    : world(w), address(a), host(w.AddHost(HostOf(a))), disk(std::make_unique<SimDisk>(d)) {}

void Machine::Start() {
  process = host->Start("process");
  world.At(world.now(), process, [this] {
    const Status s = Make();
    if (s.ok() || process == nullptr || !process->alive()) return;
    world.Note(s.ToString());
    StartAnew();
  });
}

void Machine::StartAnew() {
  Crash(false);
  world.At(world.now() + kRestartPause, nullptr, [this] {
    if (!up()) Start();
  });
}

void Machine::Crash(bool power) {
  if (process == nullptr || !process->alive()) return;
  // Nothing that it still does, as its objects end, may reach the disk.
  DiskFaults off;
  off.off_from = 0;
  disk->SetFaults(off);
  power ? process->Vanish() : process->Kill();
  power_ = power;
  if (power) power_losses.push_back(world.now());
  crashes.push_back(world.now());
  KFS_LOG(info, "sim.{} machine={} at={}", power ? "power_lost" : "killed", address, world.now());
  world.At(world.now(), nullptr, [this] { Ended(power_); });
}

void Machine::Ended(bool power) {
  disk->BeforeCall({});
  Drop();
  process.reset();
  world.Note(disk->history_hash());
  power ? disk->PowerLoss(world.Draw()) : disk->Crash();
  disk->SetFaults({});
}

void Machine::CrashAtWrite(uint64_t calls_from_now, bool power) {
  const uint64_t at = disk->calls() + calls_from_now;
  disk->BeforeCall([this, at, power](const DiskCall& call) {
    if (call.changes() && call.number >= at && process != nullptr && process->alive()) {
      KFS_REACHED("mishap.ended_in_mid_write");
      Crash(power);
    }
  });
}

}  // namespace kfs::sim

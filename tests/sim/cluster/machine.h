// A machine of a simulated world: a disk that stays, and a process that comes and goes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "tests/sim/disk/sim_disk.h"
#include "tests/sim/world/process.h"

namespace kfs::sim {

struct Machine {
  Machine(World& world, const std::string& address, const SimDisk::Options& disk);
  virtual ~Machine() = default;
  bool up() const { return process != nullptr; }
  void Start();
  // The process is killed; its disk keeps what was written. With `power` the machine loses its power.
  void Crash(bool power);
  // The same in mid-call, at one of the next calls that change the disk.
  void CrashAtWrite(uint64_t calls_from_now, bool power);

  World& world;
  const std::string address;  // "10.0.0.1:7400"
  const std::shared_ptr<Host> host;
  const std::unique_ptr<SimDisk> disk;
  std::shared_ptr<Process> process;  // null: down
  std::vector<int64_t> power_losses;
  std::vector<int64_t> crashes;  // those among them

 protected:
  virtual Status Make() = 0;  // the objects that run in the process; within an event of its
  virtual void Drop() = 0;
  // Ends the process, and starts it again a moment later, as a service manager does.
  void StartAnew();

 private:
  void Ended(bool power);
  bool power_ = false;
};

}  // namespace kfs::sim

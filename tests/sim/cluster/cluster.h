// A whole cluster in a simulated world: metaserver, chunkservers and mounts with their real code, random
// programs on the mounts, and mishaps. What the programs saw is held against the oracle.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "chunkserver/daemon.h"
#include "client/kfs_client.h"
#include "metaserver/metaserver.h"
#include "tests/sim/cluster/program.h"
#include "tests/sim/disk/sim_disk.h"
#include "tests/sim/disk/sim_env.h"
#include "tests/sim/disk/sim_file_ops.h"
#include "tests/sim/oracle/checker.h"
#include "tests/sim/world/process.h"

namespace kfs::sim {

// A machine of the cluster: a disk that stays, and a process that comes and goes.
struct Machine {
  Machine(World& world, const std::string& address, uint64_t seed);
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

 protected:
  virtual Status Make() = 0;  // the objects that run in the process; within an event of its
  virtual void Drop() = 0;

 private:
  void Ended(bool power);
  bool power_ = false;
};

struct MetaMachine : Machine {
  MetaMachine(World& world, const std::string& address, uint64_t seed, const std::string& secret_file);
  Status Make() override;
  void Drop() override;

  meta::MetaOptions options;
  std::unique_ptr<SimFileOps> files;
  std::unique_ptr<SimEnv> env;
  std::unique_ptr<meta::MetaServer> server;
  double flush_chance = 0;  // of a table in memory that is written to disk, for each batch

 private:
  void Background();
};

struct ChunkMachine : Machine {
  ChunkMachine(World& world, const std::string& address, uint64_t seed, const std::string& secret_file,
               const std::string& metaserver);
  Status Make() override;
  void Drop() override;

  ChunkserverOptions options;
  std::unique_ptr<SimFileOps> files;
  std::unique_ptr<ChunkserverDaemon> server;
};

struct MountMachine : Machine {
  MountMachine(World& world, const std::string& address, uint64_t seed, KfsClient::Options options);
  Status Make() override;
  void Drop() override;

  KfsClient::Options options;
  std::unique_ptr<KfsClient> client;
  std::function<void()> connected = [] {};  // it has been started again
  std::vector<std::shared_ptr<Program>> programs;
};

struct Figures {
  uint64_t hash = 0, events = 0, calls = 0, faults = 0, tried = 0;
  Nanos virtual_time = 0;
  bool ok = true, gave_up = false;
  std::string why;
  History history;
};

struct Plan {
  uint64_t seed = 1;
  int mounts = 2, programs = 2, calls = 30;
  bool quiet = false;  // nothing goes wrong
};

Figures RunCluster(const Plan& plan, const std::string& secret_file);

}  // namespace kfs::sim

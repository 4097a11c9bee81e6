// The machines of a simulated cluster, with the objects of a program's main on them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "chunkserver/daemon.h"
#include "client/kfs_client.h"
#include "metaserver/metaserver.h"
#include "tests/sim/cluster/machine.h"
#include "tests/sim/cluster/program.h"
#include "tests/sim/disk/sim_env.h"
#include "tests/sim/disk/sim_file_ops.h"

namespace kfs::sim {

struct MetaMachine : Machine {
  // `volume`: its default one; empty: none. `lot`: of the history: how soon sessions expire, and are forgotten.
  MetaMachine(World& world, const std::string& address, uint64_t seed, const std::string& secret_file,
              const std::string& volume, uint64_t lot);
  Status Make() override;
  void Drop() override;

  const bool forgets_sessions;  // as soon as they have expired
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
               const std::string& metaservers);
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
  std::unique_ptr<KfsClient::Connecting> connecting;
  std::unique_ptr<KfsClient> client;
  std::function<void()> connected = [] {};  // it has been started again
  std::vector<std::shared_ptr<Program>> programs;
  int number = 0;  // of the mount that it is now, of all that there have been
};

}  // namespace kfs::sim

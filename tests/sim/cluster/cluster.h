// A whole cluster in a simulated world: metaservers, chunkservers and mounts with their real code, random
// programs on the mounts, and mishaps. What the programs saw is held against the oracle.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/oracle/checker.h"
#include "tests/sim/world/world.h"

namespace kfs::sim {

struct Figures {
  uint64_t hash = 0, events = 0, calls = 0, faults = 0, moves = 0, tried = 0;
  Nanos virtual_time = 0;
  bool ok = true, gave_up = false;
  std::string why;
  std::vector<History> histories;  // of each volume
};

struct Plan {
  uint64_t seed = 1;
  int mounts = 2, programs = 2, calls = 30;
  bool quiet = false;  // nothing goes wrong
};

Figures RunCluster(const Plan& plan, const std::string& secret_file);

}  // namespace kfs::sim

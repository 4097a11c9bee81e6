// What simulated clusters have come by: the points in the code (common/reached.h), and how calls of programs
// have ended, as the oracle says that they may (EndsOf).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/sim/oracle/history.h"

namespace kfs::sim {

class Counts {
 public:
  Counts();
  void Take(const History& history);
  // All, by name, with how often: points are those of the process.
  std::map<std::string, uint64_t> All() const;

 private:
  std::map<std::string, uint64_t> ends_;
};

}  // namespace kfs::sim

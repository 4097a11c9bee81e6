// Protocols alone, each in a simulation of its own that takes a millisecond or two: the product's own code
// for one protocol, what it stands on replaced by something small, and an oracle that knows just this one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kfs::sim {

struct PartPlan {
  uint64_t seed = 1;
  bool quiet = false;  // nothing goes wrong
  int planted = 0;     // which of Part::planted is there, from 1 on; 0: none
};

struct PartFigures {
  bool ok = true;
  std::string why;  // the first thing that was wrong
  uint64_t hash = 0;
  uint64_t calls = 0, faults = 0;
  int64_t virtual_time = 0;  // ns

  void Wrong(const std::string& what) {
    if (ok) why = what;
    ok = false;
  }
};

struct Part {
  const char* name;
  const char* what;
  PartFigures (*run)(const PartPlan&);
  std::vector<const char*> planted;  // bugs that it has to catch
};

const std::vector<Part>& Parts();

PartFigures RunAppends(const PartPlan& plan);
PartFigures RunChunks(const PartPlan& plan);
PartFigures RunGarbage(const PartPlan& plan);
PartFigures RunLinks(const PartPlan& plan);
PartFigures RunLocks(const PartPlan& plan);
PartFigures RunSessions(const PartPlan& plan);

}  // namespace kfs::sim

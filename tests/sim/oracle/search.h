// The search for an order of the calls of one part, depth first (checker.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/oracle/checker.h"
#include "tests/sim/oracle/history.h"
#include "tests/sim/oracle/model.h"

namespace kfs::sim {

// What is known of calls that may be done or not, besides when they began.
struct Bounds {
  std::map<const Step*, const Step*> before;  // not after that one
  std::map<const Step*, int64_t> latest;      // not after that time
  // Stands for that one: which is done only while this is not, or has gone with a loss of power.
  std::map<const Step*, const Step*> instead;
  bool syncs_may_fail = false;  // also where nothing was lost
};

// `model`: before all calls.
Verdict Search(std::string part, std::vector<const Step*> steps, std::vector<PowerLoss> losses,
               const Bounds& bounds, std::unique_ptr<Model> model);

}  // namespace kfs::sim

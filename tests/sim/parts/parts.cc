#include "tests/sim/parts/part.h"

namespace kfs::sim {

const std::vector<Part>& Parts() {
  static const std::vector<Part> kParts = {
      {"sessions",
       "client and executor: each call has its effect once, what was synced stays",
       RunSessions,
       {"stored answers are forgotten with the connection", "answers leave before the log has their batch",
        "fsync syncs nothing"}},
  };
  return kParts;
}

}  // namespace kfs::sim

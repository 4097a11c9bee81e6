#include "tests/sim/parts/part.h"

namespace kfs::sim {

const std::vector<Part>& Parts() {
  static const std::vector<Part> kParts = {
      {"sessions",
       "client and executor: each call has its effect once, what was synced stays",
       RunSessions,
       {"stored answers are forgotten with the connection", "answers leave before the log has their batch",
        "fsync syncs nothing"}},
      {"locks",
       "mounts and lock table: nobody has what another excludes, no waiter is forgotten",
       RunLocks,
       {"locks are lost at reclaim"}},
      {"chunks",
       "a chunk on its disk: blocks old or new, what was synced stays, rot is seen",
       RunChunks,
       {"data is written before the table", "a sync of data syncs nothing"}},
      {"links",
       "calls over links that break: each ends once, with its own answer or for a reason",
       RunLinks,
       {"answers go to another call", "calls that wait are forgotten"}},
      {"appends",
       "turns and tokens: a file of appends is those that were answered, each whole",
       RunAppends,
       {"chunks take data of any version", "orders are answered before they are carried out"}},
      {"garbage",
       "garbage, inventories, orphans: what a file names is not deleted, and nothing else is left",
       RunGarbage,
       {"garbage goes before its batch is synced", "an inventory's garbage is told before a sync",
        "files without a name are not open any more", "numbers that were passed over are forgotten",
        "orphans are forgotten at a start"}},
  };
  return kParts;
}

}  // namespace kfs::sim

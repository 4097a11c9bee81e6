// Whether what programs saw of a file system can have come of one copy of it, in which each call was done
// once, whole, at some time between its beginning and its end (P1 to P3), and from which a loss of power took
// only the latest calls, none of which had been made durable by a sync that was answered (P4).
//
// Names, each file's content and each file's locks are looked at apart: what is linearizable in each part is
// so as a whole (Herlihy and Wing, 1990). For each part an order is searched for, depth first, by the way of
// Wing and Gong; what has been seen not to lead on (which calls are done, and the state) is not tried again.
//
// Calls whose outcome is unknown may be done at any later time, or never.
#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/oracle/history.h"

namespace kfs::sim {

struct Verdict {
  bool ok = true;
  std::string why;       // in words, with the calls that no order explains
  uint64_t tried = 0;    // steps of the search
  bool gave_up = false;  // the search took too long: nothing is known
};

Verdict Check(const History& history);

}  // namespace kfs::sim

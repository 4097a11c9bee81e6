// By when a write must have been done whose end nobody has heard, or else never is (P2, docs/fencing.md): what a
// program had under way when it ended, or lost its lock, does not appear afterwards.
//
//   its program had the block's lock, and another has got that since    by the end of that call
//   its mount has died, and the metaserver has heard of it              by the end of the next call of another mount
//                                                                       that has read or written the file
#pragma once

#include <map>

#include "tests/sim/oracle/history.h"

namespace kfs::sim {

// Of the writes that have such a time.
std::map<const Step*, int64_t> LatestOfWrites(const History& history);

}  // namespace kfs::sim

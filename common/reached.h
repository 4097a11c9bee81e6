// Places in the code that simulated clusters have to come by: each is counted, and one that no seed leads to
// fails the test (kfs-sim --all-reached), for what nobody gets to nobody tests.
//
//   KFS_REACHED("reply.remembered");
//
// A point is a counter in a section of its own, and the linker lays them side by side: the list of points is
// the points, those that were never reached among them. They are in all builds, for what is simulated is made
// of the daemons' own libraries; each costs one relaxed increment, and stands where something uncommon
// happens. Not in templates and inline functions: their statics would have to be in another kind of section.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>

namespace kfs {

struct alignas(16) ReachedPoint {
  const char* name;
  std::atomic<uint64_t> count;
};
// Of one size, without gaps: they are read as an array.
static_assert(sizeof(ReachedPoint) == 16);

// How often each was reached since the process began, in all threads, by name.
std::map<std::string, uint64_t> ReachedPoints();

}  // namespace kfs

#define KFS_REACHED(what)                                                                            \
  do {                                                                                               \
    [[gnu::section("kfs_reached"), gnu::used]] static constinit ::kfs::ReachedPoint point{what, {}}; \
    point.count.fetch_add(1, std::memory_order_relaxed);                                             \
  } while (false)

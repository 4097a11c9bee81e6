#include "common/reached.h"

// The linker's own names for where a section begins and ends; null where a program has no points.
extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier)
[[gnu::weak]] extern kfs::ReachedPoint __start_kfs_reached[];
[[gnu::weak]] extern kfs::ReachedPoint __stop_kfs_reached[];
// NOLINTEND(bugprone-reserved-identifier)
}

namespace kfs {

std::map<std::string, uint64_t> ReachedPoints() {
  std::map<std::string, uint64_t> points;
  for (const ReachedPoint* p = __start_kfs_reached; p != __stop_kfs_reached; ++p)
    points[p->name] += p->count.load(std::memory_order_relaxed);
  return points;
}

}  // namespace kfs

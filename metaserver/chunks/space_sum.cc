#include "metaserver/chunks/space_sum.h"

#include <algorithm>

namespace kfs::meta {

void SpaceSum::Add(const pb::DiskStatus& disk) {
  if (!disk.error().empty()) return;
  Space now{disk.capacity(), disk.available()};
  if (!disk.file_system().empty()) {
    auto [it, first] = shared_.try_emplace(disk.file_system(), now);
    if (!first) {
      // Told at different moments, and less what each chunkserver keeps back for itself: the least of them is
      // there for certain.
      const Space before = it->second;
      it->second = {std::max(before.capacity, now.capacity), std::min(before.available, now.available)};
      capacity_ -= before.capacity;
      available_ -= before.available;
      now = it->second;
    }
  }
  capacity_ += now.capacity;
  available_ += now.available;
}

}  // namespace kfs::meta

#include "client/recent_changes.h"

#include <algorithm>

namespace kfs {

void RecentChanges::Made(uint64_t op_id, const Touched& touched, MonoTime now) {
  made_ = std::max(made_, op_id);
  changes_.push_back({op_id, touched, now});
  while (changes_.size() > kMax || now - changes_.front().at > kKept) Drop();
}

void RecentChanges::Drop() {
  dropped_ = std::max(dropped_, changes_.front().op_id);
  changes_.pop_front();
}

std::optional<std::unordered_set<Ino>> RecentChanges::Lost(uint64_t known) {
  std::optional<std::unordered_set<Ino>> lost;
  if (known >= dropped_) {
    lost.emplace();
    for (const Change& c : changes_) {
      if (c.op_id > known) lost->insert(c.touched.begin(), c.touched.end());
    }
    lost->erase(Ino(0));
  }
  std::erase_if(changes_, [known](const Change& c) { return c.op_id > known; });
  made_ = known;
  dropped_ = std::min(dropped_, known);
  return lost;
}

}  // namespace kfs

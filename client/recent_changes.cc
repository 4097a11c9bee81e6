#include "client/recent_changes.h"

#include <algorithm>

namespace kfs {

KnownOps::KnownOps(const pb::ReclaimReply& reply)
    : highest(reply.known()),
      exact(reply.has_known_to()),
      to(reply.known_to()),
      but(reply.not_known().begin(), reply.not_known().end()),
      later(reply.known_later().begin(), reply.known_later().end()) {}

bool KnownOps::Has(uint64_t op_id) const {
  if (!exact) return op_id <= highest;
  return op_id <= to ? !but.contains(op_id) : later.contains(op_id);
}

void RecentChanges::Made(uint64_t op_id, const Touched& touched, MonoTime now) {
  made_ = std::max(made_, op_id);
  changes_.push_back({op_id, touched, now});
  while (changes_.size() > kMax || now - changes_.front().at > kKept) Drop();
}

void RecentChanges::Drop() {
  dropped_ = std::max(dropped_, changes_.front().op_id);
  changes_.pop_front();
}

size_t RecentChanges::Missing(const KnownOps& known) const {
  const auto missing = std::ranges::count_if(changes_, [&](const Change& c) { return !known.Has(c.op_id); });
  // What is not kept any more is durable, unless a metaserver shows that it is not.
  return static_cast<size_t>(missing) + (dropped_ > known.highest ? 1 : 0);
}

std::optional<std::unordered_set<Ino>> RecentChanges::Lost(const KnownOps& known) {
  std::optional<std::unordered_set<Ino>> lost;
  if (known.highest >= dropped_) {
    lost.emplace();
    for (const Change& c : changes_) {
      if (!known.Has(c.op_id)) lost->insert(c.touched.begin(), c.touched.end());
    }
    lost->erase(Ino(0));
  }
  std::erase_if(changes_, [&](const Change& c) { return !known.Has(c.op_id); });
  made_ = std::min(made_, known.highest);
  dropped_ = std::min(dropped_, known.highest);
  return lost;
}

}  // namespace kfs

#include "client/unsynced_data.h"

namespace kfs {

void UnsyncedData::Wrote(uint64_t chunk, uint64_t boot) {
  if (boot == 0) return;
  ++last_;
  const auto [it, fresh] = chunks_.try_emplace(chunk, Entry{.boot = boot, .first = last_, .last = last_});
  it->second.last = last_;
  if (!fresh) return;
  order_[last_] = chunk;
  if (chunks_.size() > kMax) Forget(order_.begin()->second);
}

bool UnsyncedData::Synced(uint64_t chunk, uint64_t boot, uint64_t up_to) {
  const auto it = chunks_.find(chunk);
  if (boot == 0 || it == chunks_.end() || it->second.first > up_to) return true;
  const bool same = it->second.boot == boot;
  if (same && it->second.last > up_to) return true;  // the next one covers the rest
  Forget(chunk);
  return same;
}

void UnsyncedData::Forget(uint64_t chunk) {
  const auto it = chunks_.find(chunk);
  order_.erase(it->second.first);
  chunks_.erase(it);
}

}  // namespace kfs

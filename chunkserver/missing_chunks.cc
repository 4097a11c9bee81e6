#include "chunkserver/missing_chunks.h"

#include "common/log.h"

namespace kfs {

void MissingChunks::Note(ChunkKey key, ChunkVersion version, MonoTime now) {
  const auto it = known_.find(key);
  if (it != known_.end() && now - it->second.noted < kAgain) return;
  Forget(key);
  known_[key] = {++last_, version, now};
  order_[last_] = key;
  if (order_.size() > kMax) Forget(order_.begin()->second);
  ++unsaid_;
  if (said_ != MonoTime() && now - said_ < kSayEvery) return;
  KFS_LOG(warn, "chunk.not_here chunk={} version={} chunks={} reason=\"asked for, and on no disk\"",
          key.ToString(), version.v, unsaid_);
  said_ = now;
  unsaid_ = 0;
}

void MissingChunks::Forget(ChunkKey key) {
  const auto it = known_.find(key);
  if (it == known_.end()) return;
  order_.erase(it->second.number);
  known_.erase(it);
}

uint64_t MissingChunks::Fill(uint64_t told, google::protobuf::RepeatedPtrField<pb::ChunkRef>* out) const {
  for (auto it = order_.upper_bound(told); it != order_.end() && out->size() < kAtOnce; ++it) {
    pb::ChunkRef* ref = out->Add();
    ref->set_volume(it->second.volume.v);
    ref->set_chunk(it->second.chunk.v);
    ref->set_version(known_.at(it->second).version.v);
    told = it->first;
  }
  return told;
}

}  // namespace kfs

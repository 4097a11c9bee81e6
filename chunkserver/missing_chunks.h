// Chunks that were asked for and are not on this chunkserver: told to the metaservers, which know whether
// they should be (a reader's layout may be older than the chunk's end). Loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>

#include "chunkserver/format.h"
#include "common/clock.h"
#include "proto/chunk.pb.h"

namespace kfs {

class MissingChunks {
 public:
  static constexpr size_t kMax = 1024;                     // beyond it the oldest are forgotten
  static constexpr int kAtOnce = 64;                       // told in one heartbeat
  static constexpr auto kAgain = std::chrono::minutes(1);  // told again when asked for again so much later
  static constexpr auto kSayEvery = std::chrono::seconds(1);

  void Note(ChunkKey key, ChunkVersion version, MonoTime now);
  // It is here after all: it has just been made.
  void Here(ChunkKey key) {
    if (!known_.empty()) Forget(key);
  }
  // Adds those that were noted after `told`; answers with what to ask after next time. 0: all.
  uint64_t Fill(uint64_t told, google::protobuf::RepeatedPtrField<pb::ChunkRef>* out) const;

 private:
  struct Known {
    uint64_t number = 0;
    ChunkVersion version;
    MonoTime noted{};
  };
  void Forget(ChunkKey key);

  std::unordered_map<ChunkKey, Known> known_;
  std::map<uint64_t, ChunkKey> order_;  // by number, which rises
  uint64_t last_ = 0, unsaid_ = 0;
  MonoTime said_{};
};

}  // namespace kfs

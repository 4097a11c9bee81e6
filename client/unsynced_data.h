// Which chunks have data of this mount that no fsync has covered, and in which boot of their chunkserver's
// machine it was written. A chunkserver that has started anew since may have lost it with its power: the next
// fsync must not say that it is safe. What other mounts have written is theirs to know.
//
// What a chunk has held for longest is forgotten beyond kMax. Worker's thread only. Never fails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_map>

namespace kfs {

class UnsyncedData {
 public:
  static constexpr size_t kMax = 65536;  // chunks

  // A chunkserver has answered a write, in that boot; 0: it does not say.
  void Wrote(uint64_t chunk, uint64_t boot);
  // What a sync that is sent now covers: all that was written up to here.
  uint64_t now() const { return last_; }
  // The sync was answered in that boot. False: what was written before may be gone; told once.
  bool Synced(uint64_t chunk, uint64_t boot, uint64_t up_to);
  size_t size() const { return chunks_.size(); }

 private:
  struct Entry {
    uint64_t boot = 0;   // of the first write
    uint64_t first = 0;  // number of it
    uint64_t last = 0;   // and of the last one
  };
  void Forget(uint64_t chunk);

  std::unordered_map<uint64_t, Entry> chunks_;
  std::map<uint64_t, uint64_t> order_;  // by number of the first write
  uint64_t last_ = 0;
};

}  // namespace kfs

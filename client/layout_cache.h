// Where the chunks of recently written inodes are, so that a write into a known chunk needs no PrepareWrite.
// An entry may be out of date: chunkserver and metaserver refuse its version then, and whoever is refused
// drops it. Worker's thread only. Bounded: least recently used inodes go first; of one inode at most
// kChunksPerInodeMax chunks.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/types.h"
#include "proto/meta.pb.h"

namespace kfs {

// One copy of a chunk.
struct ChunkReplica {
  uint64_t server = 0;  // its number, by which the session's ticket for it is found
  std::string address;  // empty: where the server is, is not known
  std::string mac;      // of the token for this version; empty: none was given
};

// One chunk of a file and who has it.
struct ChunkPlace {
  uint32_t index = 0;
  uint64_t chunk = 0;
  uint64_t version = 0;
  bool written = false;
  std::vector<ChunkReplica> replicas;  // all, the chain's head first; empty: no server is known
  // Given for an append: the file may be one that takes nothing else, so a write at an offset asks first.
  bool for_append = false;
  uint32_t rights = 0;     // that the replicas' tokens give
  uint64_t size_seen = 0;  // of the file, when this was learnt

  // Who orders the chunk's writes; null: nobody can be asked.
  const ChunkReplica* head() const {
    return replicas.empty() || replicas.front().address.empty() ? nullptr : &replicas.front();
  }
};
ChunkPlace PlaceFromPb(const pb::ChunkLayout& layout);

class LayoutCache {
 public:
  static constexpr size_t kChunksPerInodeMax = 1024;

  explicit LayoutCache(size_t inodes_max) : inodes_max_(inodes_max) {}

  // Null when not known. Valid until the next call.
  const ChunkPlace* Find(Ino ino, uint32_t index);
  void Put(Ino ino, const ChunkPlace& place);
  // Something has been committed to the chunk. Nothing happens when the entry is another one by now.
  void NoteWritten(Ino ino, const ChunkPlace& place);
  void Drop(Ino ino);
  void Clear();
  size_t inodes() const { return inodes_.size(); }

 private:
  struct Inode {
    std::list<Ino>::iterator lru;
    std::unordered_map<uint32_t, ChunkPlace> chunks;
  };
  const size_t inodes_max_;
  std::list<Ino> lru_;  // most recently used first
  std::unordered_map<Ino, Inode> inodes_;
};

}  // namespace kfs

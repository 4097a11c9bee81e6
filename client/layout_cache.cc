#include "client/layout_cache.h"

namespace kfs {

ChunkPlace PlaceFromPb(const pb::ChunkLayout& layout) {
  ChunkPlace place{.index = layout.index(),
                   .chunk = layout.chunk(),
                   .version = layout.version(),
                   .written = layout.written(),
                   .replicas = {},
                   .rights = layout.rights()};
  for (const pb::Server& server : layout.server())
    place.replicas.push_back({.server = server.id(), .address = server.address(), .mac = server.mac()});
  return place;
}

const ChunkPlace* LayoutCache::Find(Ino ino, uint32_t index) {
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return nullptr;
  lru_.splice(lru_.begin(), lru_, it->second.lru);
  auto chunk = it->second.chunks.find(index);
  return chunk == it->second.chunks.end() ? nullptr : &chunk->second;
}

void LayoutCache::Put(Ino ino, const ChunkPlace& place) {
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) {
    if (inodes_.size() >= inodes_max_) Drop(lru_.back());
    lru_.push_front(ino);
    it = inodes_.emplace(ino, Inode{.lru = lru_.begin(), .chunks = {}}).first;
  }
  if (it->second.chunks.size() >= kChunksPerInodeMax) it->second.chunks.clear();
  it->second.chunks[place.index] = place;
}

void LayoutCache::NoteWritten(Ino ino, const ChunkPlace& place) {
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return;
  auto chunk = it->second.chunks.find(place.index);
  if (chunk == it->second.chunks.end() || chunk->second.chunk != place.chunk) return;
  chunk->second.written = true;
}

void LayoutCache::Drop(Ino ino) {
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return;
  lru_.erase(it->second.lru);
  inodes_.erase(it);
}

void LayoutCache::Clear() {
  inodes_.clear();
  lru_.clear();
}

}  // namespace kfs

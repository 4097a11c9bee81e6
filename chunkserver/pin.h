// How the store's operations hold a chunk. Internal to chunk_store*.cc.
#pragma once

#include "chunkserver/chunk_store.h"

namespace kfs {

// Keeps a chunk in memory, and its mutex locked, for one operation. On release its place in the cache is set
// right.
class ChunkStore::Pin {
 public:
  Pin(ChunkStore* store, ChunkKey key) : store_(store), key_(key) {
    std::lock_guard lock(store->mutex_);
    auto& slot = store->entries_[key];
    if (slot == nullptr) {
      slot = std::make_unique<Entry>(
          key, ChunkEnv{store->ops_, &store->counters_, store->boot_, store->options_.durable_mutations});
    }
    entry_ = slot.get();
    if (entry_->pins++ == 0 && entry_->cached) {
      store->lru_.erase(entry_->lru);
      entry_->cached = false;
    }
  }
  ~Pin() {
    bool known = false, open = false, dirty = false;
    uint64_t bytes = 0;
    if (locked_) {
      open = entry_->chunk.open();
      dirty = open && entry_->chunk.dirty();
      bytes = open ? entry_->chunk.footprint_bytes() : 0;
      Unlock();
      known = true;
    }
    bool evict = false;
    {
      std::lock_guard lock(store_->mutex_);
      if (known) {
        store_->open_ += open ? 1 : 0;
        store_->open_ -= entry_->bytes != 0 ? 1 : 0;
        store_->cache_bytes_ += bytes;
        store_->cache_bytes_ -= entry_->bytes;
        entry_->bytes = bytes;
        if (wrote_ || (dirty && !store_->dirty_.contains(key_))) {
          if (store_->dirty_.size() < kDirtyMax)
            store_->dirty_.insert_or_assign(key_, store_->clock_->MonoNow());
        }
      }
      if (--entry_->pins == 0) {
        if (entry_->bytes == 0) {
          store_->entries_.erase(key_);
        } else {
          entry_->lru = store_->lru_.insert(store_->lru_.end(), key_);
          entry_->cached = true;
        }
      }
      evict = store_->open_ > store_->options_.open_chunks_max ||
              store_->cache_bytes_ > store_->options_.cache_bytes_max;
    }
    if (evict && may_evict_) store_->Evict();
  }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

  void Lock() {
    entry_->chunk.mutex.lock();
    locked_ = true;
  }
  bool TryLock() { return locked_ = entry_->chunk.mutex.try_lock(); }
  void Unlock() {
    locked_ = false;
    entry_->chunk.mutex.unlock();
  }
  void Wrote() { wrote_ = true; }
  void NoEviction() { may_evict_ = false; }
  Chunk* operator->() { return &entry_->chunk; }
  Chunk* get() { return &entry_->chunk; }

 private:
  ChunkStore* const store_;
  const ChunkKey key_;
  Entry* entry_;
  bool locked_ = false, wrote_ = false, may_evict_ = true;
};

}  // namespace kfs

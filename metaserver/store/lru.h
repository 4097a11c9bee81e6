// A map that remembers which entries were used last. Entries with unsaved changes are pinned by their owner,
// who calls Shrink only when there are none. One thread.
#pragma once

#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

namespace kfs::meta {

template <typename K, typename V, typename Hash = std::hash<K>, typename Equal = std::equal_to<K>>
class Lru {
 public:
  // Null when absent. The pointer holds until the entry is erased or shrunk away. `Q`: anything Hash and
  // Equal take.
  template <typename Q>
  V* Find(const Q& key) {
    auto it = map_.find(key);
    if (it == map_.end()) return nullptr;
    order_.splice(order_.begin(), order_, it->second.where);
    return &it->second.value;
  }
  // `bytes`: what the entry costs beyond the nodes themselves.
  V* Set(K key, V value, size_t bytes) {
    auto [it, fresh] = map_.try_emplace(std::move(key));
    if (fresh) {
      order_.push_front(&it->first);
      it->second.where = order_.begin();
    } else {
      order_.splice(order_.begin(), order_, it->second.where);
      bytes_ -= it->second.bytes;
    }
    it->second.value = std::move(value);
    it->second.bytes = bytes + kNodeBytes;
    bytes_ += it->second.bytes;
    return &it->second.value;
  }
  // As Find, and does not count as use.
  V* Peek(const K& key) {
    auto it = map_.find(key);
    return it == map_.end() ? nullptr : &it->second.value;
  }
  // Drops the least used until at most `budget` bytes are left; each goes through `drop` before.
  template <typename Fn>
  void Shrink(size_t budget, Fn drop) {
    while (bytes_ > budget && !order_.empty()) {
      auto it = map_.find(*order_.back());
      drop(it->first, it->second.value);
      bytes_ -= it->second.bytes;
      order_.pop_back();
      map_.erase(it);
    }
  }
  void Shrink(size_t budget) {
    Shrink(budget, [](const K&, const V&) {});
  }
  size_t bytes() const { return bytes_; }
  size_t size() const { return map_.size(); }

 private:
  struct Entry {
    V value{};
    size_t bytes = 0;
    typename std::list<const K*>::iterator where;
  };
  // Hash node, list node, bucket and the allocator's overhead.
  static constexpr size_t kNodeBytes = sizeof(K) + sizeof(Entry) + 16 + 24 + 8 + 32;

  std::unordered_map<K, Entry, Hash, Equal> map_;
  std::list<const K*> order_;
  size_t bytes_ = 0;
};

}  // namespace kfs::meta

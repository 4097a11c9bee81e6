// The answers of a session's ops that are not logged (proto/logged.h). They are as old as what the ops did:
// gone with it. An op that stores nothing costs its sender little, so the memory for all sessions is bounded.
// Loop's thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "proto/ops.h"

namespace kfs::meta {

class Remembered {
 public:
  struct Reply {
    Op op{};
    std::string body;
  };
  // Of all sessions of one metaserver; beyond it each has what a client needs that acknowledges.
  static constexpr size_t kBytesAllMax = 256u << 20;
  static constexpr size_t kBytesAlways = 64u << 10;

  Remembered() = default;
  Remembered(Remembered&& o) noexcept
      : by_id_(std::exchange(o.by_id_, {})), bytes_(std::exchange(o.bytes_, 0)), all_(o.all_) {}
  Remembered& operator=(Remembered&&) = delete;
  ~Remembered() { Less(bytes_); }

  bool contains(uint64_t op_id) const { return by_id_.contains(op_id); }
  size_t size() const { return by_id_.size(); }
  size_t bytes() const { return bytes_; }
  const Reply* Find(uint64_t op_id) const {
    const auto it = by_id_.find(op_id);
    return it == by_id_.end() ? nullptr : &it->second;
  }
  // Whether there is room for one more, where those of all sessions take so much.
  bool HasRoom(size_t all) const { return bytes_ < kBytesAlways || all < kBytesAllMax; }
  // `all`: where it counts with the others', always the same.
  void Keep(uint64_t op_id, Reply reply, const std::shared_ptr<size_t>& all) {
    all_ = all;
    const auto [it, fresh] = by_id_.try_emplace(op_id);
    if (!fresh) Less(WeightOf(it->second));
    it->second = std::move(reply);
    bytes_ += WeightOf(it->second);
    *all_ += WeightOf(it->second);
  }
  // All from `first` up to `last` but those.
  void Drop(uint64_t first, uint64_t last, const std::set<uint64_t>& but) {
    for (auto it = by_id_.lower_bound(first); it != by_id_.end() && it->first <= last;)
      it = but.contains(it->first) ? std::next(it) : Erase(it);
  }
  void DropFirst() { Erase(by_id_.begin()); }

 private:
  using ById = std::map<uint64_t, Reply>;
  // With what the map and the allocator add.
  static size_t WeightOf(const Reply& reply) { return 128 + reply.body.size(); }
  void Less(size_t bytes) {
    bytes_ -= bytes;
    if (all_ != nullptr) *all_ -= bytes;
  }
  ById::iterator Erase(ById::iterator it) {
    Less(WeightOf(it->second));
    return by_id_.erase(it);
  }

  ById by_id_;
  size_t bytes_ = 0;
  std::shared_ptr<size_t> all_;  // null: it has never kept one
};

}  // namespace kfs::meta

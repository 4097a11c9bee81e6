// The ranges that owners hold on one file, so that the one that stands in the way of a request is found in
// O(log n), however many its own owner or others hold: a treap by start, each node of which knows the
// furthest end in its subtree, and the furthest of another owner than that one's.
//
// Ranges of different owners may overlap; those of one owner do not. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "metaserver/locks/lock_owner.h"

namespace kfs::meta {

class RangeIndex {
 public:
  struct Entry {
    LockOwner owner;
    uint64_t start = 0;
    uint64_t end = 0;  // inclusive
  };

  // `seed`: of the tree's shape. Not to be guessed by whoever chooses the ranges, or the tree could be made
  // a list.
  explicit RangeIndex(uint64_t seed);
  RangeIndex(RangeIndex&&) noexcept;
  ~RangeIndex();

  // REQUIRES: the owner has no range that overlaps this one.
  void Insert(const Entry& entry);
  // REQUIRES: the owner has a range with this start.
  void Erase(LockOwner owner, uint64_t start);

  // The range of another owner than `except` that overlaps [start, end] and begins first.
  std::optional<Entry> First(uint64_t start, uint64_t end, std::optional<LockOwner> except) const;
  // Any such range; which one, chance decides: whoever waits until it is gone is seldom woken in vain.
  std::optional<Entry> Any(uint64_t start, uint64_t end, std::optional<LockOwner> except);

  size_t size() const;
  uint64_t Random();  // xorshift

 private:
  struct Node;
  using Tree = std::unique_ptr<Node>;
  using Key = std::pair<uint64_t, LockOwner>;  // start first

  static void Update(Node& node);
  static Tree Merge(Tree left, Tree right);
  static std::pair<Tree, Tree> Split(Tree tree, const Key& key);  // before it; from it on
  static uint64_t FurthestEnd(const Tree& tree, const std::optional<LockOwner>& except, bool* any);
  size_t CountBefore(uint64_t start) const;
  const Node& Select(size_t rank) const;

  Tree root_;
  uint64_t random_;
};

}  // namespace kfs::meta

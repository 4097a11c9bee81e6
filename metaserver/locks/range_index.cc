#include "metaserver/locks/range_index.h"

#include <cassert>
#include <tuple>

namespace kfs::meta {

struct RangeIndex::Node {
  struct Furthest {
    LockOwner owner;
    uint64_t end = 0;
    bool set = false;
  };

  explicit Node(const Entry& e, uint64_t p) : entry(e), priority(p) { Update(*this); }
  Key key() const { return {entry.start, entry.owner}; }

  const Entry entry;
  const uint64_t priority;
  Tree left, right;
  size_t size = 1;
  Furthest furthest, of_another;  // of this subtree; the second is of another owner than the first
};

RangeIndex::RangeIndex(uint64_t seed) : random_(seed | 1) {}
RangeIndex::RangeIndex(RangeIndex&&) noexcept = default;
RangeIndex::~RangeIndex() = default;

size_t RangeIndex::size() const { return root_ == nullptr ? 0 : root_->size; }

uint64_t RangeIndex::Random() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_;
}

void RangeIndex::Update(Node& node) {
  using Furthest = Node::Furthest;
  node.size = 1;
  node.furthest = {node.entry.owner, node.entry.end, true};
  node.of_another = {};
  auto offer = [&](const Furthest& f) {
    if (!f.set) return;
    if (f.owner == node.furthest.owner) {
      if (f.end > node.furthest.end) node.furthest.end = f.end;
    } else if (f.end > node.furthest.end) {
      node.of_another = node.furthest;
      node.furthest = f;
    } else if (!node.of_another.set || f.end > node.of_another.end) {
      node.of_another = f;
    }
  };
  for (const Tree* child : {&node.left, &node.right}) {
    if (*child == nullptr) continue;
    node.size += (*child)->size;
    offer((*child)->furthest);
    offer((*child)->of_another);
  }
}

RangeIndex::Tree RangeIndex::Merge(Tree left, Tree right) {
  if (left == nullptr) return right;
  if (right == nullptr) return left;
  if (left->priority > right->priority) {
    left->right = Merge(std::move(left->right), std::move(right));
    Update(*left);
    return left;
  }
  right->left = Merge(std::move(left), std::move(right->left));
  Update(*right);
  return right;
}

std::pair<RangeIndex::Tree, RangeIndex::Tree> RangeIndex::Split(Tree tree, const Key& key) {
  if (tree == nullptr) return {};
  if (tree->key() < key) {
    auto [before, from] = Split(std::move(tree->right), key);
    tree->right = std::move(before);
    Update(*tree);
    return {std::move(tree), std::move(from)};
  }
  auto [before, from] = Split(std::move(tree->left), key);
  tree->left = std::move(from);
  Update(*tree);
  return {std::move(before), std::move(tree)};
}

void RangeIndex::Insert(const Entry& entry) {
  auto node = std::make_unique<Node>(entry, Random());
  auto [before, from] = Split(std::move(root_), node->key());
  root_ = Merge(Merge(std::move(before), std::move(node)), std::move(from));
}

void RangeIndex::Erase(LockOwner owner, uint64_t start) {
  const Key key{start, owner}, next{start, LockOwner{owner.session, owner.owner + 1}};
  auto [before, from] = Split(std::move(root_), key);
  Tree found, after;
  if (owner.owner != UINT64_MAX) {
    std::tie(found, after) = Split(std::move(from), next);
  } else {  // the last key of its session with this start
    std::tie(found, after) = Split(std::move(from), Key{start, LockOwner{SessionId(owner.session.v + 1), 0}});
  }
  assert(found != nullptr && found->size == 1);
  root_ = Merge(std::move(before), std::move(after));
}

uint64_t RangeIndex::FurthestEnd(const Tree& tree, const std::optional<LockOwner>& except, bool* any) {
  *any = false;
  if (tree == nullptr) return 0;
  const Node::Furthest& f =
      except.has_value() && tree->furthest.owner == *except ? tree->of_another : tree->furthest;
  *any = f.set;
  return f.end;
}

std::optional<RangeIndex::Entry> RangeIndex::First(uint64_t start, uint64_t end,
                                                   std::optional<LockOwner> except) const {
  // The first by start of those that end at or after `start`; it overlaps, or nothing does.
  auto reaches = [&](const Tree& tree) {
    bool any = false;
    const uint64_t furthest = FurthestEnd(tree, except, &any);
    return any && furthest >= start;
  };
  const Tree* tree = &root_;
  while (reaches(*tree)) {
    const Node& node = **tree;
    if (reaches(node.left)) {
      tree = &node.left;
    } else if (node.entry.end >= start && (!except.has_value() || node.entry.owner != *except)) {
      if (node.entry.start > end) return std::nullopt;
      return node.entry;
    } else {
      tree = &node.right;
    }
  }
  return std::nullopt;
}

size_t RangeIndex::CountBefore(uint64_t start) const {
  size_t n = 0;
  const Node* node = root_.get();
  while (node != nullptr) {
    if (node->entry.start < start) {
      n += 1 + (node->left == nullptr ? 0 : node->left->size);
      node = node->right.get();
    } else {
      node = node->left.get();
    }
  }
  return n;
}

const RangeIndex::Node& RangeIndex::Select(size_t rank) const {
  const Node* node = root_.get();
  while (true) {
    const size_t before = node->left == nullptr ? 0 : node->left->size;
    if (rank == before) return *node;
    if (rank < before) {
      node = node->left.get();
    } else {
      rank -= before + 1;
      node = node->right.get();
    }
  }
}

std::optional<RangeIndex::Entry> RangeIndex::Any(uint64_t start, uint64_t end,
                                                 std::optional<LockOwner> except) {
  const size_t from = CountBefore(start), to = end == UINT64_MAX ? size() : CountBefore(end + 1);
  if (to - from > 1) {
    const Entry& one = Select(from + Random() % (to - from)).entry;
    if (!except.has_value() || one.owner != *except) return one;
    if (auto later = First(one.start, end, except)) return later;
  }
  return First(start, end, except);
}

}  // namespace kfs::meta

#include "fuse/node_table.h"

#include <sys/stat.h>

#include <algorithm>

namespace kfs::fuse {
namespace {

bool IsDevice(uint32_t mode) { return S_ISCHR(mode) || S_ISBLK(mode); }

}  // namespace

void NodeTable::Store(Node& node, const Attr& attr) {
  node.rdev_size = IsDevice(attr.mode) ? attr.rdev : attr.size;
  node.atime = attr.atime;
  node.mtime = attr.mtime;
  node.ctime = attr.ctime;
  node.mode = attr.mode;
  node.nlink = attr.nlink;
  node.uid = attr.uid;
  node.gid = attr.gid;
  node.blocks = static_cast<uint32_t>(INT32_MAX) &
                static_cast<uint32_t>(std::min<uint64_t>(attr.allocated / 4096, INT32_MAX));
}

void NodeTable::Looked(const Attr& attr) {
  if (attr.ino == kRootIno) return;  // never forgotten, so never counted
  Node& node = nodes_[attr.ino];
  ++node.nlookup;
  Store(node, attr);
}

void NodeTable::Forget(Ino ino, uint64_t count) {
  auto it = nodes_.find(ino);
  if (it == nodes_.end()) return;
  it->second.nlookup -= std::min(it->second.nlookup, count);
  if (it->second.nlookup == 0) nodes_.erase(it);
}

void NodeTable::Update(const Attr& attr) {
  if (auto it = nodes_.find(attr.ino); it != nodes_.end()) Store(it->second, attr);
}

void NodeTable::Removed(Ino ino, uint32_t nlink) {
  if (auto it = nodes_.find(ino); it != nodes_.end()) it->second.nlink = nlink;
}

void NodeTable::SetMapped(Ino ino) {
  if (auto it = nodes_.find(ino); it != nodes_.end()) it->second.mapped = 1;
}

bool NodeTable::Mapped(Ino ino) const {
  auto it = nodes_.find(ino);
  return it != nodes_.end() && it->second.mapped != 0;
}

void NodeTable::Gone(Ino ino) { Removed(ino, 0); }

std::optional<Attr> NodeTable::Last(Ino ino) const {
  auto it = nodes_.find(ino);
  if (it == nodes_.end()) return std::nullopt;
  const Node& node = it->second;
  Attr attr;
  attr.ino = ino;
  attr.mode = node.mode;
  attr.nlink = node.nlink;
  attr.uid = node.uid;
  attr.gid = node.gid;
  (IsDevice(node.mode) ? attr.rdev : attr.size) = node.rdev_size;
  attr.allocated = uint64_t{node.blocks} * 4096;
  attr.atime = node.atime;
  attr.mtime = node.mtime;
  attr.ctime = node.ctime;
  return attr;
}

uint64_t NodeTable::CountOf(Ino ino) const {
  auto it = nodes_.find(ino);
  return it == nodes_.end() ? 0 : it->second.nlookup;
}

}  // namespace kfs::fuse

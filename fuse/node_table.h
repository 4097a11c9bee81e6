// The inodes that the kernel holds references to, counted exactly: each reply that gives it an entry counts
// one, FORGET takes them back. For each the last known attributes are kept, so that a file or directory that
// the server has already forgotten (a process still has it as its working directory, or behind an O_PATH
// descriptor) can be described as a local file system would: as it was, with no links. The loop's thread
// only.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "client/kfs_client.h"

namespace kfs::fuse {

class NodeTable {
 public:
  // The kernel was given an entry for this inode.
  void Looked(const Attr& attr);
  // A reply that gave an entry did not arrive.
  void Unlooked(Ino ino) { Forget(ino, 1); }
  void Forget(Ino ino, uint64_t count);

  // Newer attributes of an inode; does nothing when the kernel does not hold it.
  void Update(const Attr& attr);
  // A name went; `nlink` are left.
  void Removed(Ino ino, uint32_t nlink);
  // The server no longer knows the inode: from here on it has no links and no entries.
  void Gone(Ino ino);

  // The kernel reads the inode into its page cache: a mapping. From then on it may have pages that were
  // changed and not yet written back.
  void SetMapped(Ino ino);
  bool Mapped(Ino ino) const;

  bool Holds(Ino ino) const { return ino == kRootIno || nodes_.contains(ino); }
  // The attributes as last seen.
  std::optional<Attr> Last(Ino ino) const;

  size_t size() const { return nodes_.size(); }
  uint64_t CountOf(Ino ino) const;

 private:
  // Small, as there is one for every inode that the kernel caches.
  struct Node {
    uint64_t nlookup = 0;
    uint64_t rdev_size = 0;  // rdev of a device node, else size
    TimeNs atime = 0, mtime = 0, ctime = 0;
    uint32_t mode = 0, nlink = 0, uid = 0, gid = 0;
    uint32_t blocks : 31 = 0;  // of 4 KiB
    uint32_t mapped : 1 = 0;
  };
  static void Store(Node& node, const Attr& attr);

  std::unordered_map<Ino, Node> nodes_;
};

}  // namespace kfs::fuse

// Who may hold record locks on which inode: closing a descriptor must tell the server only then. Worker's
// thread only.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>

#include "common/types.h"

namespace kfs {

class RecordLockOwners {
 public:
  // `owner` asks for a lock.
  void Add(Ino ino, uint64_t owner) { owners_[ino].insert(owner); }
  bool Has(Ino ino, uint64_t owner) const {
    auto it = owners_.find(ino);
    return it != owners_.end() && it->second.contains(owner);
  }
  // All its locks on the inode go. False: it never asked for one.
  bool Drop(Ino ino, uint64_t owner) {
    auto it = owners_.find(ino);
    if (it == owners_.end() || it->second.erase(owner) == 0) return false;
    if (it->second.empty()) owners_.erase(it);
    return true;
  }
  size_t size() const { return owners_.size(); }

 private:
  std::unordered_map<Ino, std::unordered_set<uint64_t>> owners_;
};

}  // namespace kfs

// A volume's records: the database, and in front of it the decoded inodes and names that are in use, within a
// byte budget. Changes of a tick are kept here (each inode is encoded once a tick, however often it changed,
// unless somebody scans) until Commit. Loop's thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/types.h"
#include "metaserver/store/db.h"
#include "metaserver/store/lru.h"
#include "metaserver/store/records.pb.h"

namespace kfs::meta {

using InodePtr = std::shared_ptr<const rec::Inode>;

// What a name stands for; ino 0: nothing.
struct Dentry {
  Ino ino;
  uint32_t type = 0;  // st_mode >> 12
  uint64_t cookie = 0;
};

class VolumeStore {
 public:
  VolumeStore(std::unique_ptr<Db> db, size_t cache_bytes);

  // Reads the counters, makes the root directory in a new volume. `now` stamps it. After an unclean stop
  // numbers go on far ahead: some that were handed out may have been lost with the machine's power and must
  // not be handed out again.
  Status Init(int64_t now);

  InodePtr GetInode(Ino ino);  // null: none
  Dentry GetDentry(Ino parent, std::string_view name);
  SessionId NewSession(VolumeId volume);
  static VolumeId VolumeOf(SessionId session) { return VolumeId(static_cast<uint32_t>(session.v >> 40)); }
  const rec::VolumeCounters& counters() const { return counters_; }

  Db& db() { return *db_; }
  const Db& db() const { return *db_; }
  bool dirty() const { return db_->dirty() || !dirty_inodes_.empty() || counters_dirty_; }
  // Writes everything changed since the last commit in one batch.
  void Commit();
  // As Db::Scan.
  void Scan(std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view, std::string_view)>& fn);
  // Remembers that nothing can have been lost. The last act before closing.
  void MarkClean();
  size_t cache_bytes() const { return inodes_.bytes() + dentries_.bytes(); }

 private:
  // Changes come as a Txn.
  friend class Txn;
  void PutInode(Ino ino, InodePtr inode, bool is_new = false);  // null: removed
  void PutDentry(Ino parent, std::string_view name, const Dentry& dentry);
  void DeleteDentry(Ino parent, std::string_view name, uint64_t cookie);
  // So many of the next numbers are in use now.
  void GiveOut(uint64_t inos, uint64_t chunks);
  void CountInodes(int64_t delta);
  void CountBytes(int64_t delta);

  struct NameKey {
    uint64_t parent;
    std::string name;
  };
  struct NameView {
    uint64_t parent;
    std::string_view name;
  };
  struct NameHash {
    using is_transparent = void;
    template <typename T>
    size_t operator()(const T& k) const {
      return std::hash<std::string_view>()(k.name) ^ (k.parent * 0x9e3779b97f4a7c15ull);
    }
  };
  struct NameEqual {
    using is_transparent = void;
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return a.parent == b.parent && a.name == b.name;
    }
  };
  struct CachedInode {
    InodePtr inode;  // null: known to be absent
    bool dirty = false;
    // Of a directory that was made here: all names that it has are in dentries_, others need not be looked
    // for.
    bool all_names = false;
  };
  // Into the batch.
  void Encode();
  void CacheName(Ino parent, std::string_view name, const Dentry& dentry);

  std::unique_ptr<Db> db_;
  const size_t cache_budget_;
  Lru<uint64_t, CachedInode> inodes_;
  Lru<NameKey, Dentry, NameHash, NameEqual> dentries_;
  std::vector<Ino> dirty_inodes_;
  rec::VolumeCounters counters_;
  bool counters_dirty_ = false;
  std::string scratch_;
};

}  // namespace kfs::meta

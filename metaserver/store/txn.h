// One operation's changes to a volume: copies of what it edits, over the store. Apply() makes them part of
// the tick's batch; dropped, they never were. Reused from op to op. Loop's thread only.
//
// Ops touch a handful of records, so lists are searched from end to end.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metaserver/store/volume_store.h"

namespace kfs::meta {

class Txn {
 public:
  explicit Txn(VolumeStore& store) : store_(store) {}

  // The inode as this op sees it; null when there is none. Holds until Apply or Clear; an Edit of it makes
  // another.
  const rec::Inode* Find(Ino ino);
  // A copy to change. REQUIRES: Find(ino) != null
  rec::Inode* Edit(Ino ino);
  rec::Inode* Create(Ino ino);
  void Remove(Ino ino);

  Dentry Lookup(Ino parent, std::string_view name);
  void PutDentry(Ino parent, std::string_view name, const Dentry& dentry);
  void DeleteDentry(Ino parent, std::string_view name, uint64_t cookie);

  // Other records by key.
  std::optional<std::string> Get(std::string_view key);
  void Put(std::string_view key, std::string value);
  void Delete(std::string_view key);
  // Records with keys in [from, to), in order, as this op sees them; at most `max`.
  std::vector<std::pair<std::string, std::string>> List(std::string_view prefix, std::string_view from,
                                                        std::string_view to, size_t max);

  // Numbers never given out before; those of a txn that is dropped go to the next one. Chunks with lower
  // numbers than next_chunk() are older than what this op makes from here on.
  Ino NewIno() { return Ino(store_.counters().next_ino() + new_inos_++); }
  ChunkId NewChunk() { return ChunkId(store_.counters().next_chunk() + new_chunks_++); }
  uint64_t next_chunk() const { return store_.counters().next_chunk() + new_chunks_; }

  // What the new chunks of this op will take on a chunkserver, in bytes.
  void Place(ServerId server, uint64_t bytes) { placed_[server] += bytes; }
  uint64_t placed(ServerId server) const {
    const auto it = placed_.find(server);
    return it == placed_.end() ? 0 : it->second;
  }

  // Counters and memory effects, in order, once the changes are applied.
  void OnApply(std::function<void()> fn) { on_apply_.push_back(std::move(fn)); }
  void CountInodes(int64_t delta) { inodes_delta_ += delta; }
  void CountBytes(int64_t delta) { bytes_delta_ += delta; }

  bool empty() const { return !changed_; }
  bool changes_inodes() const;
  // Each inode that has been looked at, and whether it, its names, attributes or chunks are changed; maybe
  // more than once.
  void ForEachTouched(const std::function<void(Ino, bool changed)>& fn) const;
  void Clear();
  VolumeStore& store() { return store_; }

 private:
  // Through the gate only (executor/gate.h): an op's by the executor, any other's by Volume::Change.
  friend class Executor;
  friend class Volume;
  void Apply();

  struct InodeEdit {
    Ino ino;
    InodePtr seen;                       // as Find gave it
    std::shared_ptr<rec::Inode> edited;  // null: not changed, or removed
    bool removed = false;
  };
  struct NameEdit {
    Ino parent;
    std::string name;
    Dentry dentry;        // ino 0: deleted
    uint64_t cookie = 0;  // of what was deleted
  };
  InodeEdit* FindEdit(Ino ino);

  VolumeStore& store_;
  std::vector<InodeEdit> inodes_;
  std::vector<NameEdit> names_;
  std::map<std::string, std::optional<std::string>, std::less<>> records_;
  std::vector<std::function<void()>> on_apply_;
  int64_t inodes_delta_ = 0, bytes_delta_ = 0;
  uint64_t new_inos_ = 0, new_chunks_ = 0;
  std::map<ServerId, uint64_t> placed_;
  bool changed_ = false;
};

}  // namespace kfs::meta

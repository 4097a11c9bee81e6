// One data directory: who it belongs to, where its chunks lie, how much room it has, whether it is well. Any
// thread.
//
//   <dir>/kfs-disk                                   identity, flock()ed while in use
//   <dir>/kfs-disk.age                               how old the content is (disk_age.h)
//   <dir>/kfs-disk.metaservers                       where the metaservers were last (known_metaservers.h)
//   <dir>/garbage/, <dir>/aside/                     what was deleted lately (garbage_bin.h)
//   <dir>/v<volume>/<low byte of id>/<id>.data,.meta   chunks
//
// A directory that cannot be used is "sick": it stays in the list with its error, so that it is reported, and
// its chunks answer with that error instead of seeming never to have existed.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "chunkserver/disk_age.h"
#include "chunkserver/format.h"
#include "chunkserver/garbage_bin.h"
#include "common/clock.h"
#include "common/file_ops.h"
#include "common/status.h"

namespace kfs {

// Contents of kfs-disk.
struct DiskIdentity {
  std::string disk_uuid;
  std::string server_uuid;  // the chunkserver whose disk this is
  std::string cluster_id;   // empty until the first registration
};
std::string EncodeDiskIdentity(const DiskIdentity& identity);
Result<DiskIdentity> DecodeDiskIdentity(const std::string& text, const std::string& path);

class Disk {
 public:
  // Creates the directory when its parent exists. Never fails: a sick disk says so.
  static std::unique_ptr<Disk> Open(std::string path, FileOps* ops, uint64_t reserve_bytes,
                                    const Clock& clock);

  static constexpr size_t kSmallFileMax = 1 << 20;

  const std::string& path() const { return path_; }
  std::string DataPath(ChunkKey key) const { return ChunkDir(key) + Name(key) + ".data"; }
  std::string MetaPath(ChunkKey key) const { return ChunkDir(key) + Name(key) + ".meta"; }
  Status MakeChunkDir(ChunkKey key);  // with its parents
  Status SyncChunkDir(ChunkKey key);  // makes the names of this chunk's files durable

  // Identity: empty disk_uuid on a directory that has none yet.
  DiskIdentity identity() const;
  Status SetIdentity(const DiskIdentity& identity);  // durably, atomically
  // Small files beside it; names begin with kfs-disk. Writing is durable and atomic. ENOENT: there is none.
  Result<std::string> ReadSmallFile(const std::string& name) const;
  Status WriteSmallFile(const std::string& name, const std::string& text);

  // As it was noted on the disk last (DiskAges).
  DiskAge age() const;
  void SetAge(DiskAge age);

  // Sickness. NoteError takes any errno and reacts to those that condemn a disk: EIO, EROFS and the like.
  void NoteError(int err, const std::string& what);
  std::string error() const;  // empty: healthy
  bool healthy() const { return healthy_; }

  // Room.
  struct Space {
    uint64_t capacity = 0, available = 0;  // available: the reserve is not counted
  };
  Space RefreshSpace();
  Space space() const { return {capacity_, available_}; }
  // May `bytes` new ones be written without looking? False: the caller allocates before it changes anything.
  bool PlentyOfSpace(uint64_t bytes);
  uint64_t reserve() const { return reserve_; }
  void SetReserve(uint64_t bytes) {
    configured_reserve_ = bytes;
  }  // counts from the next RefreshSpace on; 0: by size

  // Makes room for `bytes` more at the expense of what was deleted lately. True: there is some, look again.
  bool MakeRoom(uint64_t bytes);
  // What is left above this is no reason to delete anything.
  uint64_t EnoughSpace() const;
  // The same ahead of need, so that little is deleted while somebody waits.
  void RelievePressure();
  GarbageBin& bin() { return bin_; }
  const GarbageBin& bin() const { return bin_; }
  // FileOps::FileSystemId of the directory.
  const std::string& file_system() const { return file_system_; }

  Status Syncfs();
  // Headers that a process finds dirty are so on the disk, too: what one before it had left in the page cache
  // when it was killed has been synced as a whole, and what this one marks it has synced.
  bool dirty_is_durable() const { return synced_ && !mark_failed_; }
  // The header of a chunk that was marked dirty could not be synced.
  void NoteMarkFailed() { mark_failed_ = true; }
  // Something was written since the last TakeChanged().
  void NoteChanged() {
    changed_.store(true, std::memory_order_relaxed);
    aged_.store(true, std::memory_order_relaxed);
  }
  bool TakeChanged() { return changed_.exchange(false); }
  bool TakeAged() { return aged_.exchange(false); }  // the same since the last TakeAged()

  std::atomic<int64_t> chunks{0};
  std::atomic<uint64_t> changes{0};      // of `chunks`: made and deleted
  std::atomic<bool> nowait_works{true};  // cleared when the file system refuses RWF_NOWAIT

  // Volumes and chunk folders as they lie on the disk, for inventory.
  std::vector<uint32_t> Volumes() const;
  std::string ChunkDir(VolumeId volume, uint8_t low) const;
  static std::string Name(ChunkKey key);
  // From "000000000000002a.meta" and the like; false for other names.
  static bool ParseName(std::string_view name, ChunkId* chunk, std::string_view* suffix);

 private:
  Disk(std::string path, FileOps* ops, uint64_t reserve)
      : path_(std::move(path)), ops_(ops), configured_reserve_(reserve), bin_(path_, ops) {}
  Status Start(const Clock& clock);
  Status ReadIdentity();
  Status MayBecomeOurs() const;
  void CountChunks();
  std::string ChunkDir(ChunkKey key) const { return ChunkDir(key.volume, static_cast<uint8_t>(key.chunk.v)); }

  const std::string path_;
  FileOps* const ops_;
  std::atomic<uint64_t> configured_reserve_;  // 0: by size
  std::atomic<uint64_t> reserve_{0};
  std::unique_ptr<Fd> dir_, lock_;
  GarbageBin bin_;
  std::string file_system_;  // constant after Open

  // Changed at first: what a process before has written may not have been synced when it was killed.
  std::atomic<bool> healthy_{true}, changed_{true}, aged_{false};
  std::atomic<bool> synced_{false};  // as a whole, by this process
  std::atomic<bool> mark_failed_{false};
  std::atomic<uint64_t> capacity_{0}, available_{0};
  mutable std::mutex mutex_;
  std::string error_;      // guarded by mutex_
  DiskIdentity identity_;  // guarded by mutex_
  DiskAge age_;            // guarded by mutex_
};

}  // namespace kfs

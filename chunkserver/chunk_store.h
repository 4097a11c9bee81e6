// All chunks of this chunkserver, on all its disks. Thread-safe; a chunk is touched by one thread at a time.
//
// Chunks are found by looking on each disk, so nothing grows with their number: open ones are kept in an LRU
// cache bounded by descriptors and bytes. Calls with Wait::kNever never wait for a disk or for another
// thread; they answer EAGAIN/kTryAgain (WouldWait) and have then changed nothing.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "chunkserver/chunk.h"
#include "chunkserver/disk.h"
#include "common/clock.h"
#include "common/entropy.h"

namespace kfs {

class ChunkStore {
 public:
  struct Options {
    std::vector<std::string> data_dirs;
    uint64_t reserve_bytes = 0;              // of each disk; 0: 1 % of it, at least 512 KiB, at most 64 MiB
    size_t open_chunks_max = 2048;           // two descriptors each
    uint64_t cache_bytes_max = 64ull << 20;  // block tables
    Duration clean_after = std::chrono::seconds(5);  // of rest, before a chunk is marked clean
    bool durable_mutations = true;
    Duration garbage_keep{};          // how long what was deleted can be had back
    std::optional<BootId> boot = {};  // none: as `ops` say
    FileOps* ops = nullptr;           // outlives the store; null: the real ones
    const Clock* clock = nullptr;     // likewise
    Entropy* entropy = nullptr;       // likewise
  };

  // Fails when no data directory can be used, or when they belong to different chunkservers or clusters.
  static Result<std::unique_ptr<ChunkStore>> Open(Options options);
  ~ChunkStore();

  const std::string& server_uuid() const { return server_uuid_; }
  // Changes when the machine starts anew: what was written before and not synced may be gone. 0: not known.
  uint64_t boot() const { return ShortBootId(boot_); }
  std::string cluster_id() const;
  // Writes it to every disk. EEXIST/kWrongCluster when there is another one.
  Status AdoptCluster(const std::string& cluster_id);
  const std::vector<std::unique_ptr<Disk>>& disks() const { return disks_; }
  // Disk::ReadSmallFile of each healthy disk that has it, with the disk's path.
  std::vector<std::pair<std::string, Result<std::string>>> ReadSmallFiles(const std::string& name) const;
  // On as many healthy disks as take it; fails when none does.
  Status WriteSmallFiles(const std::string& name, const std::string& text) const;

  // Of each disk, as in Options; counts when its room is looked at next.
  void SetReserve(uint64_t bytes);
  void SetGarbageKeep(Duration keep) { garbage_keep_ = keep; }
  // From here on no chunk is created (EAGAIN/kTryAgain), as long as `refuse`.
  void RefuseNew(bool refuse);
  const Clock& clock() const { return *clock_; }
  Entropy& entropy() const { return *entropy_; }
  // EBUSY: there are chunks, or a disk that cannot be read may have some. With RefuseNew(true) it stays so.
  Status HoldsNothing() const;

  // The data path. On ESTALE/kStaleChunk *detail is our version, 0 when there is no such chunk. `may` is
  // asked when the call has the chunk to itself, and what it refuses is not done (AccessGate::Check); null:
  // always.
  using MayFn = std::function<Status()>;
  Result<Buffer> Read(ChunkKey key, ChunkVersion version, uint64_t offset, uint32_t length, Wait wait,
                      uint64_t* detail, const MayFn& may = nullptr);
  // Answers with the bytes that the chunk takes on the disk. `existing`: it is not created when it is not
  // there.
  Result<uint64_t> Write(ChunkKey key, ChunkVersion version, uint64_t offset, std::string_view payload,
                         std::span<const uint32_t> crcs, Wait wait, uint64_t* detail, bool existing = false,
                         const MayFn& may = nullptr);
  Result<Chunk::SeekResult> Seek(ChunkKey key, ChunkVersion version, uint64_t offset, Wait wait,
                                 uint64_t* detail, const MayFn& may = nullptr);
  Status Sync(VolumeId volume, std::span<const uint64_t> chunks);
  struct Mutated {
    uint64_t allocated = 0;  // bytes that the chunk takes on the disk
    bool no_space = false;   // all is done but that some space could not be reserved
    bool lost = false;       // nothing is done: it should be there, and is not, or nothing can be read of it
  };
  // `existing`: a chunk that is not there is not made.
  Result<Mutated> Mutate(ChunkKey key, ChunkVersion from, ChunkVersion to, const Chunk::Steps& steps,
                         bool existing = false);
  // Unknown ones count as deleted. All are tried; the first error is returned. They stay in the disk's
  // garbage for a while (garbage_bin.h), and are chunks again when one of them is read, written or changed.
  Status Delete(VolumeId volume, std::span<const uint64_t> chunks);

  // Makes what was written since the last call durable (one syncfs a disk), and marks chunks clean that have
  // rested.
  void SyncChangedDisks();

  // Inventory, a folder at a time: the caller starts with {} and goes on until `done`.
  struct Cursor {
    size_t disk = 0;
    uint32_t volume = 0;
    uint32_t folder = 0;
    bool done = false;
    int64_t counted = 0;
    uint64_t changes = 0;  // of the disk, when its first folder was read
    // After the chunks: what was deleted so long ago that it may go, once it is called garbage again.
    bool garbage = false;
    uint64_t when = 0;
  };
  struct Held {
    VolumeId volume;
    std::vector<std::pair<uint64_t, uint64_t>> chunks;  // id, version
    // It is garbage of this disk and folder: to be dropped from there, not deleted.
    Disk* garbage_of = nullptr;
    uint64_t when = 0;
  };
  void DropGarbage(const Held& held, std::span<const uint64_t> chunks);
  // Reads one folder, removes debris of interrupted creations and deletions from it, and moves the cursor on.
  Held ScanStep(Cursor* cursor);

  struct Stats {
    size_t open_chunks = 0;
    uint64_t cache_bytes = 0;
    size_t dirty_chunks = 0;
    uint64_t evictions = 0, syncfs_runs = 0, syncfs_failures = 0, cleaned = 0, taken_back = 0;
  };
  Stats stats() const;
  const BlockCounters& counters() const { return counters_; }

 private:
  struct Entry {
    explicit Entry(ChunkKey key, const ChunkEnv& env) : chunk(key, env) {}
    Chunk chunk;
    // Guarded by the store's mutex_:
    int pins = 0;
    bool cached = false;  // in lru_
    uint64_t bytes = 0;
    std::list<ChunkKey>::iterator lru;
  };
  class Pin;
  friend class Pin;
  // More stay flagged dirty on the disk: harmless, a power cut only costs a scan.
  static constexpr size_t kDirtyMax = 262144;
  struct Due {
    ChunkKey key;
    MonoTime written;
  };

  explicit ChunkStore(Options options);
  Status SettleIdentity();
  Status OpenChunk(Chunk* chunk, uint64_t* detail);  // REQUIRES: its mutex held
  Status OpenForAccess(Pin* pin, ChunkVersion version, Wait wait, uint64_t* detail, const MayFn& may);
  Status CreateChunk(Chunk* chunk, ChunkVersion version);
  Status MutateWithRoom(Chunk* chunk, ChunkVersion to, const Chunk::Steps& steps, bool* no_space);
  bool TakeBack(Chunk* chunk);  // REQUIRES: its mutex held, and it is on no disk
  Held GarbageStep(Cursor* cursor);
  Result<Disk*> ChooseDisk();
  Status SyncOne(ChunkKey key);
  Status SyncFiles(ChunkKey key, Disk* disk, const Chunk::SyncHandle& handle);
  Status SyncMany(VolumeId volume, std::span<const uint64_t> chunks);
  Status DeleteOne(ChunkKey key);
  std::vector<Due> TakeDue(size_t max);
  void CleanBatch(const std::vector<Due>& due);
  void SyncDisks();
  void RemoveDebris(ChunkKey key, Disk* disk);
  void SettleLoneData(Chunk* chunk, Disk* disk);
  uint64_t HeldVersion(ChunkKey key, Disk* disk);
  bool RecentlyDeleted(ChunkKey key) const;
  // A mutation to `version` has made no chunk: none is made at an earlier one.
  void NotMade(ChunkKey key, ChunkVersion version);
  ChunkVersion LeastVersion(ChunkKey key) const;
  void Evict();

  const Options options_;
  FileOps default_ops_;
  SystemClock default_clock_;
  FileOps* const ops_;
  const Clock* const clock_;
  Entropy* const entropy_;
  const BootId boot_;
  BlockCounters counters_;
  std::vector<std::unique_ptr<Disk>> disks_;
  std::string server_uuid_;
  std::atomic<Duration> garbage_keep_;

  mutable std::mutex mutex_;  // never held while waiting for a chunk's mutex or a disk
  std::unordered_map<ChunkKey, std::unique_ptr<Entry>> entries_;
  std::list<ChunkKey> lru_;  // open and not in use, oldest first
  size_t open_ = 0;
  uint64_t cache_bytes_ = 0;
  uint64_t evictions_ = 0, syncfs_runs_ = 0, syncfs_failures_ = 0, cleaned_ = 0, taken_back_ = 0;
  bool refuse_new_ = false;
  size_t creating_ = 0;
  std::unordered_map<ChunkKey, MonoTime> dirty_;  // when last written; bounded by kDirtyMax
  std::unordered_set<ChunkKey> deleted_;          // so that a late write does not bring one back
  std::deque<ChunkKey> deleted_order_;
  std::unordered_map<ChunkKey, ChunkVersion> least_;  // bounded as deleted_ is
  std::deque<ChunkKey> least_order_;
};

}  // namespace kfs

// One chunk on its disk: a data file, and beside it a header and a table of CRC32C per 4 KiB block. This
// class is where "neither false nor unnoticed corruption" is kept; docs/chunk-format.md has the argument.
//
// Order of a write:
//
//   table (crc=old, pending=new)  ->  data  ->  in memory crc=new, pending=0  ->  table, later
//
// After kill -9 a block is old or new, and whichever of crc and pending matches says which.
//
// Not thread-safe: everything but the constructor and `mutex` needs `mutex` held. Errors are Results; one
// that condemns the disk is told to it.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "chunkserver/disk.h"
#include "chunkserver/format.h"
#include "common/buffer.h"
#include "common/file_ops.h"
#include "common/status.h"
#include "proto/chunk.pb.h"

namespace kfs {

// What happened to blocks, of all chunks together.
struct BlockCounters {
  std::atomic<uint64_t> corrupt{0};     // reads refused
  std::atomic<uint64_t> resolved{0};    // settled between crc and pending
  std::atomic<uint64_t> power_loss{0};  // checksums recomputed after a power cut
};

struct ChunkEnv {
  FileOps* ops = nullptr;
  BlockCounters* counters = nullptr;
  BootId boot{};
  bool durable_mutations = true;  // a mutation is on the disk before it is acknowledged
};

// May the call wait for the disk? kNever: EAGAIN/kTryAgain instead, nothing changed; call again with
// kAllowed.
enum class Wait { kNever, kAllowed };
inline Status TryAgain() { return Status(EAGAIN, Code::kTryAgain, "would wait for the disk"); }
inline bool WouldWait(const Status& st) { return st.err() == EAGAIN && st.code() == Code::kTryAgain; }

class Chunk {
 public:
  Chunk(ChunkKey key, const ChunkEnv& env) : key_(key), env_(env) {}

  std::mutex mutex;

  // Opens it from `disk`. ENOENT when it is not there (NoHeaderYet counts as not there).
  Status Open(Disk* disk);
  // REQUIRES: not there on any disk.
  Status Create(Disk* disk, ChunkVersion version);
  // Writes what the table owes and closes. REQUIRES: open.
  void Close();
  // It has just been put back on this disk. REQUIRES: not open.
  void PutBack(Disk* disk);
  // Moves its files to the disk's garbage (garbage_bin.h), or deletes them when that is kept for no time.
  // Need not be open: REQUIRES that it has been looked for on its disk.
  Status Discard(Duration keep, const Clock& clock);
  // Removes it. REQUIRES: open. Header first: data without header is debris that inventory sweeps up.
  Status Remove();

  bool open() const { return meta_ != nullptr; }
  ChunkKey key() const { return key_; }
  Disk* disk() const { return disk_; }
  ChunkVersion version() const { return header_.version; }
  bool dirty() const { return header_.dirty; }
  size_t footprint_bytes() const { return sizeof(*this) + table_.capacity() * sizeof(BlockEntry); }

  // REQUIRES for all below: open.
  Result<Buffer> Read(uint64_t offset, uint32_t length, Wait wait);
  Status Write(uint64_t offset, std::string_view payload, std::span<const uint32_t> crcs, Wait wait);
  using Steps = google::protobuf::RepeatedPtrField<pb::ChunkStep>;
  // *no_space becomes true when space that a step reserves is not there; the rest is done.
  Status Mutate(ChunkVersion to, const Steps& steps, bool* no_space);
  struct SeekResult {
    uint64_t data, hole;
  };
  Result<SeekResult> Seek(uint64_t offset, Wait wait);
  uint64_t AllocatedBytes();

  // Making it durable, in three parts so that the mutex need not be held while the disk works: finalise, then
  // sync the files, then (if the generation is still the same) mark clean.
  struct SyncHandle {
    FdPtr data, meta;
    uint64_t generation = 0;
    bool needed = false;    // false: nothing was written since the last sync
    bool new_name = false;  // the folder must be synced too
  };
  Result<SyncHandle> BeginSync();
  void SyncDone(const SyncHandle& handle);  // all of it is durable now
  // Its name may go with the power; the folder has been synced.
  bool new_name() const { return new_name_; }
  void NameSynced() { new_name_ = false; }
  // Durably clean when the header next reaches the disk. Does nothing when written to since.
  void MarkClean(uint64_t generation);

 private:
  Status Fail(int err, std::string_view what);  // from -errno; tells the disk
  Status Corrupt(uint64_t block, std::string_view what);
  Status LoadHeaderAndTable(uint64_t meta_size);
  Status OpenData(bool after_power_loss);
  Status RecoverAfterPowerLoss();
  Status WriteHeader();
  Status WriteTable(uint64_t first, uint64_t end);
  Status Finalise();
  Status MarkDirty();
  void Owe(uint64_t first, uint64_t end);  // table entries that differ on disk

  // Reads [offset, offset+size) of the data file into iov, zeros past its end.
  // Whether nothing was ever written there. A file has a hole there then, which is not read: the kernel would
  // make pages of zeros of it, and up to 16 MiB of what follows, which took the loop 50 to 100 ms.
  bool ShouldBeHole(uint64_t first, uint64_t end) const;
  bool IsHole(uint64_t first, uint64_t end);  // what the file has there; may wait for the disk
  Status ReadData(std::span<const iovec> iov, uint64_t offset, Wait wait);
  // Does the block, whose bytes have checksum `actual`, match its entry? Settles a pending one.
  bool Settle(uint64_t block, uint32_t actual);
  Status LoadBlock(uint64_t block, char* out, Wait wait);  // verified; zeros for a hole
  // Settles blocks whose last write did not finish. Corrupt ones are left as they are.
  Status Resolve(uint64_t first, uint64_t end, Wait wait);
  Status EnsureSpace(uint64_t first, uint64_t end);
  // The write protocol. iov covers whole blocks from `first` on; crcs are theirs.
  Status WriteBlocks(uint64_t first, std::span<const uint32_t> crcs, const iovec* iov, int count, Wait wait);
  Status ZeroRange(uint64_t start, uint64_t end);
  Status ZeroPart(uint64_t block, uint64_t from, uint64_t to);
  Status Truncate(uint64_t offset);
  Status Allocate(uint64_t offset, uint64_t length, bool* no_space);
  BlockEntry Entry(uint64_t block) const { return block < table_.size() ? table_[block] : BlockEntry{}; }

  const ChunkKey key_;
  const ChunkEnv env_;
  Disk* disk_ = nullptr;
  FdPtr data_, meta_;
  ChunkHeader header_;
  std::vector<BlockEntry> table_;  // as long as the file
  uint64_t data_size_ = 0;         // whole blocks
  uint64_t owed_first_ = UINT64_MAX, owed_end_ = 0;
  uint64_t generation_ = 1, synced_generation_ = 0;
  bool new_name_ = false;
  bool dirty_durable_ = false;  // dirty, and the disk has no header that says clean
};

}  // namespace kfs

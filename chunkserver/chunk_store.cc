// Identity, the cache of open chunks, and the data path.
#include "chunkserver/chunk_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "chunkserver/pin.h"
#include "common/log.h"
#include "common/reached.h"
#include "common/secret.h"
#include "common/uuid.h"

namespace kfs {
namespace {

constexpr size_t kDeletedMax = 65536;  // a late write comes within seconds

Status Stale(ChunkKey key, uint64_t ours, ChunkVersion theirs) {
  return Status(ESTALE, Code::kStaleChunk,
                ours == 0 ? fmt::format("chunk {} is not here", key.ToString())
                          : fmt::format("chunk {} is at version {}, not {}", key.ToString(), ours, theirs.v));
}

Status CheckRange(uint64_t offset, uint64_t length, uint64_t max) {
  if (length <= max && offset <= kChunkSizeMax && length <= kChunkSizeMax - offset) return {};
  return Status(EINVAL, fmt::format("range {}+{} is outside of a chunk", offset, length));
}

}  // namespace

ChunkStore::ChunkStore(Options options)
    : options_(std::move(options)),
      ops_(options_.ops != nullptr ? options_.ops : &default_ops_),
      clock_(options_.clock != nullptr ? options_.clock : &default_clock_),
      entropy_(options_.entropy != nullptr ? options_.entropy : &SystemRandom()),
      boot_(options_.boot ? *options_.boot : ParseBootId(ops_->BootId())),
      garbage_keep_(options_.garbage_keep) {}

Result<std::unique_ptr<ChunkStore>> ChunkStore::Open(Options options) {
  if (options.data_dirs.empty()) return Status(EINVAL, "no data directory is given; set data-dirs");
  std::unique_ptr<ChunkStore> store(new ChunkStore(std::move(options)));
  for (const std::string& dir : store->options_.data_dirs) {
    store->disks_.push_back(Disk::Open(dir, store->ops_, store->options_.reserve_bytes, *store->clock_));
  }
  KFS_RETURN_IF_ERROR(store->SettleIdentity());
  return store;
}

ChunkStore::~ChunkStore() {
  for (auto& [key, entry] : entries_) {
    std::lock_guard lock(entry->chunk.mutex);
    if (entry->chunk.open()) entry->chunk.Close();
  }
}

Status ChunkStore::SettleIdentity() {
  std::string cluster;
  for (auto& disk : disks_) {
    const DiskIdentity id = disk->identity();
    if (!disk->healthy() || id.disk_uuid.empty()) continue;
    for (const auto& other : disks_) {
      if (other == disk) break;
      if (!other->healthy() || other->identity().disk_uuid != id.disk_uuid) continue;
      return Status(EINVAL, fmt::format("{} and {} are copies of one disk: a copy must never be used beside "
                                        "its original",
                                        other->path(), disk->path()));
    }
    if (server_uuid_.empty()) server_uuid_ = id.server_uuid;
    if (server_uuid_ != id.server_uuid) {
      return Status(
          EINVAL,
          fmt::format("{} belongs to chunkserver {}, the others to {}: a chunkserver's data directories "
                      "cannot be mixed",
                      disk->path(), id.server_uuid, server_uuid_));
    }
    if (cluster.empty()) cluster = id.cluster_id;
    if (!id.cluster_id.empty() && cluster != id.cluster_id) {
      return Status(
          EINVAL, Code::kWrongCluster,
          fmt::format("{} belongs to cluster {}, the others to {}", disk->path(), id.cluster_id, cluster));
    }
  }
  if (server_uuid_.empty()) server_uuid_ = NewUuid(*entropy_);
  size_t usable = 0;
  std::string reasons;
  for (auto& disk : disks_) {
    DiskIdentity id = disk->identity();
    if (disk->healthy() && (id.disk_uuid.empty() || id.cluster_id != cluster)) {
      if (id.disk_uuid.empty()) id.disk_uuid = NewUuid(*entropy_);
      id.server_uuid = server_uuid_;
      id.cluster_id = cluster;
      if (Status st = disk->SetIdentity(id); !st.ok()) disk->NoteError(EIO, st.ToString());
    }
    usable += disk->healthy();
    if (!disk->healthy()) reasons += "; " + disk->error();
  }
  if (usable == 0) return Status(EIO, "no data directory can be used" + reasons);
  return {};
}

std::vector<std::pair<std::string, Result<std::string>>> ChunkStore::ReadSmallFiles(
    const std::string& name) const {
  std::vector<std::pair<std::string, Result<std::string>>> found;
  for (const auto& disk : disks_) {
    if (!disk->healthy()) continue;
    Result<std::string> text = disk->ReadSmallFile(name);
    if (text.status().err() != ENOENT) found.emplace_back(disk->path(), std::move(text));
  }
  return found;
}

Status ChunkStore::WriteSmallFiles(const std::string& name, const std::string& text) const {
  size_t taken = 0;
  Status error(EIO, "no disk is healthy");
  for (const auto& disk : disks_) {
    if (!disk->healthy()) continue;
    Status st = disk->WriteSmallFile(name, text);
    taken += st.ok();
    if (!st.ok()) error = std::move(st);
  }
  return taken != 0 ? Status() : error;
}

std::string ChunkStore::cluster_id() const {
  for (auto& disk : disks_) {
    if (disk->healthy()) return disk->identity().cluster_id;
  }
  return {};
}

Status ChunkStore::AdoptCluster(const std::string& cluster_id) {
  for (auto& disk : disks_) {
    if (!disk->healthy()) continue;
    DiskIdentity id = disk->identity();
    if (id.cluster_id == cluster_id) continue;
    if (!id.cluster_id.empty()) {
      return Status(
          EEXIST, Code::kWrongCluster,
          fmt::format("{} holds chunks of cluster {} and cannot serve cluster {}; use other data directories",
                      disk->path(), id.cluster_id, cluster_id));
    }
    id.cluster_id = cluster_id;
    KFS_RETURN_IF_ERROR(disk->SetIdentity(id));
  }
  return {};
}

Status ChunkStore::OpenChunk(Chunk* chunk, uint64_t* detail) {
  const Disk* out_of_order = nullptr;
  for (auto& disk : disks_) {
    if (disk->identity().disk_uuid.empty()) {  // never came up: what it holds is not known
      out_of_order = disk.get();
      continue;
    }
    Status st = chunk->Open(disk.get());
    if (st.err() != ENOENT) return st;
  }
  if (detail != nullptr) *detail = 0;
  if (out_of_order != nullptr) {
    return Status(EIO, fmt::format("chunk {} may be on {}, which cannot be used: {}", chunk->key().ToString(),
                                   out_of_order->path(), out_of_order->error()));
  }
  return Status(ENOENT, "no such chunk");
}

// Locks the chunk, asks whether the access may still be made, opens it where needed and compares the version.
Status ChunkStore::OpenForAccess(Pin* pin, ChunkVersion version, Wait wait, uint64_t* detail,
                                 const MayFn& may) {
  if (wait == Wait::kNever) {
    if (!pin->TryLock()) return TryAgain();
    if (!(*pin)->open()) return TryAgain();
  } else {
    pin->Lock();
  }
  if (may) KFS_RETURN_IF_ERROR(may());
  Chunk& chunk = *pin->get();
  if (!chunk.open()) {
    Status st = OpenChunk(&chunk, detail);
    if (st.err() == ENOENT && TakeBack(&chunk)) st = OpenChunk(&chunk, detail);
    if (st.err() == ENOENT) return Stale(chunk.key(), 0, version);
    KFS_RETURN_IF_ERROR(st);
  }
  *detail = chunk.version().v;
  if (chunk.version() == version) return {};
  KFS_REACHED("chunk.asked_for_stale");
  return Stale(chunk.key(), *detail, version);
}

Result<Buffer> ChunkStore::Read(ChunkKey key, ChunkVersion version, uint64_t offset, uint32_t length,
                                Wait wait, uint64_t* detail, const MayFn& may) {
  *detail = 0;
  KFS_RETURN_IF_ERROR(CheckRange(offset, length, kFramePayloadMax));
  Pin pin(this, key);
  KFS_RETURN_IF_ERROR(OpenForAccess(&pin, version, wait, detail, may));
  return pin->Read(offset, length, wait);
}

Result<uint64_t> ChunkStore::Write(ChunkKey key, ChunkVersion version, uint64_t offset,
                                   std::string_view payload, std::span<const uint32_t> crcs, Wait wait,
                                   uint64_t* detail, bool existing, const MayFn& may) {
  *detail = 0;
  KFS_RETURN_IF_ERROR(CheckRange(offset, payload.size(), kFramePayloadMax));
  Pin pin(this, key);
  Status st = OpenForAccess(&pin, version, wait, detail, may);
  // A mutation that found no room has made no chunk, and is not to be undone by a write that comes late.
  if (st.code() == Code::kStaleChunk && *detail == 0 && !existing && version >= LeastVersion(key) &&
      !RecentlyDeleted(key)) {
    st = CreateChunk(pin.get(), version);
    KFS_REACHED("chunk.made_by_a_write");
  }
  KFS_RETURN_IF_ERROR(st);
  st = pin->Write(offset, payload, crcs, wait);
  // What was deleted lately makes room; a write that failed so can be done again.
  if (st.err() == ENOSPC && !pin->disk()->bin().empty()) {
    if (wait == Wait::kNever) return TryAgain();
    while (st.err() == ENOSPC && pin->disk()->MakeRoom(payload.size()))
      st = pin->Write(offset, payload, crcs, wait);
  }
  if (!WouldWait(st)) pin.Wrote();
  KFS_RETURN_IF_ERROR(st);
  return pin->AllocatedBytes();
}

Result<Chunk::SeekResult> ChunkStore::Seek(ChunkKey key, ChunkVersion version, uint64_t offset, Wait wait,
                                           uint64_t* detail, const MayFn& may) {
  *detail = 0;
  KFS_RETURN_IF_ERROR(CheckRange(offset, 0, 0));
  Pin pin(this, key);
  KFS_RETURN_IF_ERROR(OpenForAccess(&pin, version, wait, detail, may));
  return pin->Seek(offset, wait);
}

Status ChunkStore::Delete(VolumeId volume, std::span<const uint64_t> chunks) {
  Status first;
  for (uint64_t id : chunks) {
    Status st = DeleteOne({volume, ChunkId(id)});
    if (!st.ok() && first.ok()) first = st;
  }
  return first;
}

Status ChunkStore::DeleteOne(ChunkKey key) {
  Pin pin(this, key);
  pin.Lock();
  Status st;
  if (!pin->open()) {
    // A damaged chunk must be deletable too: it need not open, its files must go.
    st = OpenChunk(pin.get(), nullptr);
    if (st.code() == Code::kCorrupt || st.err() == EPROTONOSUPPORT) {
      KFS_RETURN_IF_ERROR(pin->Discard(garbage_keep_.load(), *clock_));
      st = {};
    }
  }
  if (pin->open()) st = pin->Discard(garbage_keep_.load(), *clock_);
  if (st.ok() || st.err() == ENOENT) {
    std::lock_guard lock(mutex_);
    dirty_.erase(key);
    if (deleted_.insert(key).second) deleted_order_.push_back(key);
    if (deleted_order_.size() > kDeletedMax) {
      deleted_.erase(deleted_order_.front());
      deleted_order_.pop_front();
    }
    return {};
  }
  return st;
}

bool ChunkStore::TakeBack(Chunk* chunk) {
  for (auto& disk : disks_) {
    if (!disk->healthy() || !disk->bin().Has(chunk->key()) || !disk->MakeChunkDir(chunk->key()).ok())
      continue;
    if (!disk->bin().TakeBack(chunk->key(), disk->MetaPath(chunk->key()), disk->DataPath(chunk->key())))
      continue;
    chunk->PutBack(disk.get());
    KFS_REACHED("chunk.taken_back");
    KFS_LOG(warn, "chunk.taken_back chunk={} disk={} reason=\"asked for after it had been deleted\"",
            chunk->key().ToString(), disk->path());
    std::lock_guard lock(mutex_);
    deleted_.erase(chunk->key());
    ++taken_back_;
    return true;
  }
  return false;
}

bool ChunkStore::RecentlyDeleted(ChunkKey key) const {
  std::lock_guard lock(mutex_);
  return deleted_.contains(key);
}

Status ChunkStore::CreateChunk(Chunk* chunk, ChunkVersion version) {
  {
    std::lock_guard lock(mutex_);
    if (refuse_new_) return Status(EAGAIN, Code::kTryAgain, "the chunkserver is about to leave the cluster");
    ++creating_;
  }
  auto disk = ChooseDisk();
  Status st = disk.ok() ? chunk->Create(*disk, version) : disk.status();
  while (disk.ok() && st.err() == ENOSPC && (*disk)->MakeRoom(0)) st = chunk->Create(*disk, version);
  std::lock_guard lock(mutex_);
  --creating_;
  return st;
}

void ChunkStore::SetReserve(uint64_t bytes) {
  for (auto& disk : disks_) disk->SetReserve(bytes);
}

void ChunkStore::RefuseNew(bool refuse) {
  std::lock_guard lock(mutex_);
  refuse_new_ = refuse;
}

Status ChunkStore::HoldsNothing() const {
  std::lock_guard lock(mutex_);
  if (creating_ != 0) return Status(EBUSY, "a chunk is just being made on it");
  for (const auto& disk : disks_) {
    if (!disk->healthy())
      return Status(EBUSY, fmt::format("its disk {} cannot be read, and may hold chunks: {}", disk->path(),
                                       disk->error()));
    if (const int64_t chunks = disk->chunks; chunks > 0)
      return Status(EBUSY, fmt::format("it holds {} chunk{}", chunks, chunks == 1 ? "" : "s"));
  }
  return {};
}

// By free space, at random: disks fill evenly, and a new empty one is not swamped.
Result<Disk*> ChunkStore::ChooseDisk() {
  uint64_t total = 0;
  bool healthy = false;
  for (auto& disk : disks_) {
    if (!disk->healthy()) continue;
    healthy = true;
    total += disk->space().available;
  }
  if (!healthy) return Status(EIO, "no disk of this chunkserver is in order");
  if (total == 0) {
    for (auto& disk : disks_) {
      if (disk->healthy()) total += disk->RefreshSpace().available;
    }
  }
  for (auto& disk : disks_) {
    if (total == 0 && disk->healthy() && disk->MakeRoom(0)) total += disk->space().available;
  }
  if (total == 0) return Status(ENOSPC, "all disks of this chunkserver are full");
  uint64_t random = entropy_->Next() % total;
  Disk* last = nullptr;
  for (auto& disk : disks_) {
    const uint64_t available = disk->healthy() ? disk->space().available : 0;
    if (available == 0) continue;
    last = disk.get();
    if (random < available) break;
    random -= available;
  }
  if (last == nullptr) return Status(ENOSPC, "all disks of this chunkserver are full");
  return last;
}

// An evictor holds the chunk as any user does, so that nobody can open it a second time meanwhile.
void ChunkStore::Evict() {
  for (;;) {
    ChunkKey key;
    {
      std::lock_guard lock(mutex_);
      const bool over = open_ > options_.open_chunks_max || cache_bytes_ > options_.cache_bytes_max;
      if (!over || lru_.empty()) return;
      key = lru_.front();
      ++evictions_;
    }
    Pin pin(this, key);
    pin.NoEviction();
    pin.Lock();
    if (pin->open()) pin->Close();
  }
}

ChunkStore::Stats ChunkStore::stats() const {
  std::lock_guard lock(mutex_);
  return {open_,        cache_bytes_,     dirty_.size(), evictions_,
          syncfs_runs_, syncfs_failures_, cleaned_,      taken_back_};
}

}  // namespace kfs

// Making chunks durable, and the inventory.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "chunkserver/chunk_store.h"
#include "chunkserver/pin.h"
#include "common/log.h"

namespace kfs {
namespace {

constexpr size_t kSyncOneByOneMax = 32;  // more chunks than this in one request: sync the disks instead
constexpr size_t kCleanBatch = 512;      // chunks held open while their disk syncs

}  // namespace

Status ChunkStore::Sync(VolumeId volume, std::span<const uint64_t> chunks) {
  if (chunks.size() > kSyncOneByOneMax) return SyncMany(volume, chunks);
  for (uint64_t id : chunks) KFS_RETURN_IF_ERROR(SyncOne({volume, ChunkId(id)}));
  return {};
}

Status ChunkStore::SyncOne(ChunkKey key) {
  Pin pin(this, key);
  pin.Lock();
  if (!pin->open()) {
    Status st = OpenChunk(pin.get(), nullptr);
    if (st.err() == ENOENT) return {};
    KFS_RETURN_IF_ERROR(st);
  }
  auto handle = pin->BeginSync();
  if (!handle.ok()) return handle.status();
  if (!handle->needed) return {};
  Disk* disk = pin->disk();
  pin.Unlock();  // writers go on while the disk works
  KFS_RETURN_IF_ERROR(SyncFiles(key, disk, *handle));
  pin.Lock();
  if (pin->open()) pin->SyncDone(*handle);
  return {};
}

Status ChunkStore::SyncFiles(ChunkKey key, Disk* disk, const Chunk::SyncHandle& handle) {
  for (const auto& [file, what] : {std::pair{handle.data, "data"}, std::pair{handle.meta, "table"}}) {
    if (int err = ops_->Fdatasync(file->get()); err < 0) {
      std::string text = fmt::format("sync {} of chunk {} on {}", what, key.ToString(), disk->path());
      disk->NoteError(-err, text);
      return ErrnoStatus(-err, text);
    }
  }
  return handle.new_name ? disk->SyncChunkDir(key) : Status();
}

Status ChunkStore::SyncMany(VolumeId volume, std::span<const uint64_t> chunks) {
  std::set<Disk*> disks;
  for (uint64_t id : chunks) {
    Pin pin(this, {volume, ChunkId(id)});
    pin.Lock();
    if (!pin->open()) {
      Status st = OpenChunk(pin.get(), nullptr);
      if (st.err() == ENOENT) continue;
      KFS_RETURN_IF_ERROR(st);
    }
    auto handle = pin->BeginSync();
    if (!handle.ok()) return handle.status();
    if (handle->needed) disks.insert(pin->disk());
  }
  for (Disk* disk : disks) KFS_RETURN_IF_ERROR(disk->Syncfs());
  return {};
}

void ChunkStore::SyncChangedDisks() {
  for (;;) {
    std::vector<Due> due = TakeDue(kCleanBatch);
    if (due.empty()) break;
    CleanBatch(due);
    if (due.size() < kCleanBatch) return;
  }
  SyncDisks();
}

void ChunkStore::SyncDisks() {
  for (auto& disk : disks_) {
    disk->RefreshSpace();
    disk->bin().Count();
    disk->RelievePressure();
    if (!disk->TakeChanged()) continue;
    Status st = disk->Syncfs();
    std::lock_guard lock(mutex_);
    ++(st.ok() ? syncfs_runs_ : syncfs_failures_);
  }
}

std::vector<ChunkStore::Due> ChunkStore::TakeDue(size_t max) {
  const MonoTime now = clock_->MonoNow();
  std::vector<Due> due;
  std::lock_guard lock(mutex_);
  for (auto it = dirty_.begin(); it != dirty_.end() && due.size() < max;) {
    if (now - it->second < options_.clean_after) {
      ++it;
      continue;
    }
    due.push_back({it->first, it->second});
    it = dirty_.erase(it);  // a write from now on puts it back
  }
  return due;
}

// Tables finalised, one sync for all of them, then the headers say clean. Nobody is held up: the chunks are
// pinned, not locked, while the disks work.
void ChunkStore::CleanBatch(const std::vector<Due>& due) {
  struct Item {
    std::unique_ptr<Pin> pin;
    Chunk::SyncHandle handle;
  };
  std::vector<Item> items;
  for (const Due& d : due) {
    auto pin = std::make_unique<Pin>(this, d.key);
    pin->NoEviction();
    pin->Lock();
    if (!(*pin)->open() && !OpenChunk(pin->get(), nullptr).ok()) continue;
    auto handle = (*pin)->BeginSync();
    if (!handle.ok()) continue;
    (*pin)->disk()->NoteChanged();
    pin->Unlock();
    items.push_back({std::move(pin), *handle});
  }
  std::map<Disk*, bool> synced;
  for (auto& disk : disks_) {
    if (!disk->TakeChanged()) continue;
    synced[disk.get()] = disk->Syncfs().ok();
    std::lock_guard lock(mutex_);
    ++(synced[disk.get()] ? syncfs_runs_ : syncfs_failures_);
  }
  for (Item& item : items) {
    item.pin->Lock();
    Chunk& chunk = *item.pin->get();
    if (chunk.open() && synced[chunk.disk()]) {
      chunk.SyncDone(item.handle);
      chunk.MarkClean(item.handle.generation);
      std::lock_guard lock(mutex_);
      cleaned_ += !chunk.dirty();
    }
    item.pin->Unlock();  // one at a time: whoever waits for this chunk shall not wait for the next one, too
  }
  items.clear();
  Evict();
}

ChunkStore::Held ChunkStore::ScanStep(Cursor* cursor) {
  if (cursor->garbage) return GarbageStep(cursor);
  Held held;
  if (cursor->done || cursor->disk >= disks_.size()) {
    *cursor = {.garbage = true};
    return held;
  }
  Disk* disk = disks_[cursor->disk].get();
  if (cursor->volume == 0 && cursor->folder == 0) cursor->changes = disk->changes;
  // The first volume at or after the cursor's: volumes may come and go between steps.
  const std::vector<uint32_t> volumes = disk->Volumes();
  auto volume = std::lower_bound(volumes.begin(), volumes.end(), cursor->volume);
  if (!disk->healthy() || volume == volumes.end()) {
    // What came or went during the scan may have been counted, or not.
    if (disk->healthy() && disk->changes == cursor->changes) disk->chunks = cursor->counted;
    *cursor = {.disk = cursor->disk + 1};
    return held;
  }
  if (*volume != cursor->volume)
    *cursor = {
        .disk = cursor->disk, .volume = *volume, .counted = cursor->counted, .changes = cursor->changes};
  held.volume = VolumeId(*volume);
  std::set<uint64_t> metas, datas;
  const std::string folder = disk->ChunkDir(held.volume, static_cast<uint8_t>(cursor->folder));
  std::vector<std::string> names;
  (void)ops_->List(folder, &names);
  for (const std::string& name : names) {
    ChunkId id;
    std::string_view suffix;
    if (!Disk::ParseName(name, &id, &suffix)) continue;
    if (suffix == "meta") metas.insert(id.v);
    if (suffix == "data") datas.insert(id.v);
  }
  for (uint64_t id : datas) {
    if (!metas.contains(id)) RemoveDebris({held.volume, ChunkId(id)}, disk);
  }
  for (uint64_t id : metas) {
    if (uint64_t version = HeldVersion({held.volume, ChunkId(id)}, disk); version != 0) {
      held.chunks.emplace_back(id, version);
    }
  }
  cursor->counted += static_cast<int64_t>(held.chunks.size());
  if (++cursor->folder == 256) {
    cursor->folder = 0;
    ++cursor->volume;
  }
  return held;
}

// What a chunk that cannot be read has for a version is not known; UINT64_MAX keeps it from being taken for
// an old one, and its id is enough to tell garbage. 0: not a chunk.
uint64_t ChunkStore::HeldVersion(ChunkKey key, Disk* disk) {
  Fd fd(ops_, ops_->Open(disk->MetaPath(key), O_RDONLY));
  if (fd.get() < 0) return 0;
  char raw[kMetaHeaderUsed];
  ssize_t n = ops_->PreadAll(fd.get(), raw, sizeof(raw), 0);
  if (n >= 0 && NoHeaderYet({raw, static_cast<size_t>(n)})) {
    RemoveDebris(key, disk);
    return 0;
  }
  if (n != sizeof(raw)) return UINT64_MAX;
  auto header = DecodeChunkHeader(raw, key);
  if (!header.ok()) return UINT64_MAX;
  if (header->dirty) {  // left so by an earlier process: have it cleaned
    std::lock_guard lock(mutex_);
    if (dirty_.size() < kCleanBatch) dirty_.try_emplace(key, clock_->MonoNow());
  }
  return header->version.v;
}

// One volume's chunks in one part of a folder of garbage whose time is over.
ChunkStore::Held ChunkStore::GarbageStep(Cursor* cursor) {
  Held held;
  cursor->done = cursor->disk >= disks_.size();
  if (cursor->done) return held;
  Disk* disk = disks_[cursor->disk].get();
  const auto due =
      disk->healthy() ? disk->bin().Due(cursor->when, garbage_keep_.load(), *clock_) : std::nullopt;
  if (!due) {
    *cursor = {.disk = cursor->disk + 1, .garbage = true};
    return held;
  }
  if (*due != cursor->when) *cursor = {.disk = cursor->disk, .garbage = true, .when = *due};
  held.garbage_of = disk;
  held.when = *due;
  const std::vector<ChunkKey> keys = disk->bin().List(*due, cursor->folder);
  for (ChunkKey key : keys) {  // the first volume at or after the cursor's
    if (key.volume.v >= cursor->volume && (!held.volume || key.volume.v < held.volume.v))
      held.volume = key.volume;
  }
  for (ChunkKey key : keys) {
    if (key.volume == held.volume) held.chunks.emplace_back(key.chunk.v, UINT64_MAX);
  }
  if (held.volume) {
    cursor->volume = held.volume.v + 1;
    return held;
  }
  cursor->volume = 0;
  if (++cursor->folder < 256) return held;
  disk->bin().RemoveIfEmpty(*due);
  cursor->folder = 0;
  ++cursor->when;
  return held;
}

void ChunkStore::DropGarbage(const Held& held, std::span<const uint64_t> chunks) {
  for (uint64_t id : chunks) held.garbage_of->bin().Drop(held.when, {held.volume, ChunkId(id)});
}

// What a crash left of a creation or deletion, or of a chunk. Under the chunk's mutex, because a creation
// under way looks alike.
void ChunkStore::RemoveDebris(ChunkKey key, Disk* disk) {
  Pin pin(this, key);
  pin.Lock();
  if (pin->open() || OpenChunk(pin.get(), nullptr).err() != ENOENT) return;
  SettleLoneData(pin.get(), disk);
}

// Data without a header: of a creation that did not come to its end (nothing was written yet), of a deletion
// (its header is in the garbage), or a chunk whose header was lost.
void ChunkStore::SettleLoneData(Chunk* chunk, Disk* disk) {
  const ChunkKey key = chunk->key();
  const std::string data = disk->DataPath(key);
  struct stat st {};
  const bool empty = ops_->Stat(data, &st) != 0 || st.st_blocks == 0;
  if (!empty) {
    if (disk->bin().Rejoin(key, data)) return;
    std::string kept_as;
    const Status kept = disk->bin().SetAside(key, data, &kept_as);
    KFS_LOG(error,
            "chunk.header_lost chunk={} disk={} bytes={} {} next=\"its checksums and version are gone: copy "
            "what is "
            "wanted out of the data file, restore the file from a backup, and remove the data file\"",
            key.ToString(), disk->path(), static_cast<int64_t>(st.st_blocks) * 512,
            kept.ok() ? "kept_as=" + kept_as : "not_kept=\"" + kept.ToString() + "\"");
    if (!kept.ok()) return;  // where it is, it is safe, too
  } else {
    KFS_LOG(info, "chunk.debris_removed chunk={} disk={}", key.ToString(), disk->path());
    ops_->Unlink(data);
  }
  ops_->Unlink(disk->MetaPath(key));  // one without a header
}

}  // namespace kfs

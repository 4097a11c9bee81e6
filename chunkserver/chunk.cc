// Opening, closing, checking and making durable; chunk_io.cc reads and writes, chunk_mutate.cc truncates and
// zeroes.
#include "chunkserver/chunk.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "common/log.h"

namespace kfs {

Status Chunk::Fail(int err, std::string_view what) {
  std::string text = fmt::format("{} chunk {} on {}", what, key_.ToString(), disk_->path());
  disk_->NoteError(err, text);
  return ErrnoStatus(err, text);
}

Status Chunk::Corrupt(uint64_t block, std::string_view what) {
  env_.counters->corrupt++;
  KFS_LOG(error, "chunk.corrupt chunk={} version={} block={} disk={} reason=\"{}\"", key_.ToString(),
          header_.version.v, block, disk_->path(), what);
  return Status(EIO, Code::kCorrupt,
                fmt::format("chunk {} block {} on {}: {}", key_.ToString(), block, disk_->path(), what));
}

Status Chunk::Open(Disk* disk) {
  disk_ = disk;
  int fd = env_.ops->Open(disk->MetaPath(key_), O_RDWR);
  if (fd == -ENOENT) return Status(ENOENT, "no such chunk");
  if (fd < 0) return Fail(-fd, "open header of");
  meta_ = std::make_shared<Fd>(env_.ops, fd);
  Status st = [&] {
    struct stat meta {};
    if (int err = env_.ops->Fstat(fd, &meta); err < 0) return Fail(-err, "stat header of");
    KFS_RETURN_IF_ERROR(LoadHeaderAndTable(static_cast<uint64_t>(meta.st_size)));
    const bool power_loss = header_.dirty && header_.boot != env_.boot;
    KFS_RETURN_IF_ERROR(OpenData(power_loss));
    generation_ = 1;
    synced_generation_ = header_.dirty ? 0 : 1;
    new_name_ = header_.dirty;
    dirty_durable_ = header_.dirty && disk->dirty_is_durable();
    owed_first_ = UINT64_MAX;
    owed_end_ = 0;
    return power_loss ? RecoverAfterPowerLoss() : Status();
  }();
  if (!st.ok()) {
    meta_.reset();
    data_.reset();
  }
  return st;
}

Status Chunk::LoadHeaderAndTable(uint64_t meta_size) {
  char raw[kMetaHeaderUsed];
  ssize_t n = env_.ops->PreadAll(meta_->get(), raw, sizeof(raw), 0);
  if (n < 0) return Fail(static_cast<int>(-n), "read header of");
  if (NoHeaderYet({raw, static_cast<size_t>(n)}))
    return Status(ENOENT, "the chunk's creation was interrupted");
  auto header = DecodeChunkHeader(raw, key_);
  if (!header.ok()) {
    if (header.status().code() == Code::kCorrupt) return Corrupt(0, header.status().message());
    return header.status();
  }
  header_ = *header;
  // Without the zeros behind the header, or all of the table: blocks are holes, and found to be none.
  const uint64_t entries =
      meta_size <= kMetaHeaderSize ? 0 : (meta_size - kMetaHeaderSize) / sizeof(BlockEntry);
  if (entries > BlocksOf(kChunkSizeMax)) return Corrupt(0, "the block table is too long");
  table_.assign(entries, {});
  table_.shrink_to_fit();
  const size_t bytes = entries * sizeof(BlockEntry);
  n = env_.ops->PreadAll(meta_->get(), table_.data(), bytes, kMetaHeaderSize);
  if (n < 0) return Fail(static_cast<int>(-n), "read table of");
  if (static_cast<size_t>(n) != bytes) return Corrupt(0, "the block table is cut short");
  return {};
}

Status Chunk::OpenData(bool after_power_loss) {
  int fd = env_.ops->Open(disk_->DataPath(key_), O_RDWR | (after_power_loss ? O_CREAT : 0));
  if (fd == -ENOENT) return Corrupt(0, "the data file is missing");
  if (fd < 0) return Fail(-fd, "open data of");
  data_ = std::make_shared<Fd>(env_.ops, fd);
  struct stat st {};
  if (int err = env_.ops->Fstat(fd, &st); err < 0) return Fail(-err, "stat data of");
  data_size_ = static_cast<uint64_t>(st.st_size);
  if (data_size_ > kChunkSizeMax + kBlockSize) return Corrupt(0, "the data file is too long");
  return {};
}

// The machine lost power while the chunk held writes that no fsync had covered. Blocks reach the disk in any
// order and torn, and so does the table: what does not match was never promised. Take it as it lies, and say
// so.
Status Chunk::RecoverAfterPowerLoss() {
  const uint64_t blocks = std::max<uint64_t>(table_.size(), BlocksOf(data_size_));
  if (blocks > BlocksOf(kChunkSizeMax)) return Corrupt(0, "the data file is too long");
  // Before the checksums are taken: what lies in the last block behind the end, of a write whose size did not
  // reach the disk, is not always zeros when the file grows.
  if (const uint64_t whole = BlocksOf(data_size_) * kBlockSize; data_size_ != whole) {
    if (int err = env_.ops->Ftruncate(data_->get(), whole); err < 0) return Fail(-err, "extend data of");
    data_size_ = whole;
  }
  // The same of the table, whose entries behind the end are holes: what shrinks has zeros there.
  const uint64_t table_end = kMetaHeaderSize + blocks * sizeof(BlockEntry);
  for (const uint64_t size : {RoundUpToBlock(table_end), table_end}) {
    if (int err = env_.ops->Ftruncate(meta_->get(), size); err < 0) return Fail(-err, "cut table of");
  }
  table_.resize(blocks);
  constexpr uint64_t kPiece = 256;
  Buffer piece(kPiece * kBlockSize);
  uint64_t changed = 0;
  for (uint64_t first = 0; first < blocks; first += kPiece) {
    const uint64_t count = std::min(kPiece, blocks - first);
    iovec iov{piece.data(), count * kBlockSize};
    KFS_RETURN_IF_ERROR(ReadData({&iov, 1}, first * kBlockSize, Wait::kAllowed));
    for (uint64_t i = 0; i < count; ++i) {
      uint32_t actual = BlockCrc(piece.data() + i * kBlockSize);
      if (Settle(first + i, actual)) continue;
      table_[first + i] = {actual, 0};
      ++changed;
    }
  }
  env_.counters->power_loss += changed;
  if (changed != 0) {
    KFS_LOG(warn, "chunk.recovered_after_power_loss chunk={} version={} blocks={} of={}", key_.ToString(),
            header_.version.v, changed, blocks);
  }
  Owe(0, blocks);
  KFS_RETURN_IF_ERROR(Finalise());
  header_.boot = env_.boot;  // last: until then the next open does all this again
  return WriteHeader();
}

Status Chunk::Create(Disk* disk, ChunkVersion version) {
  disk_ = disk;
  KFS_RETURN_IF_ERROR(disk->MakeChunkDir(key_));
  const int flags = O_RDWR | O_CREAT | O_TRUNC;
  int fd = env_.ops->Open(disk->DataPath(key_), flags);
  if (fd < 0) return Fail(-fd, "create data of");
  data_ = std::make_shared<Fd>(env_.ops, fd);
  fd = env_.ops->Open(disk->MetaPath(key_), flags);
  if (fd < 0) {
    data_.reset();
    return Fail(-fd, "create header of");
  }
  meta_ = std::make_shared<Fd>(env_.ops, fd);
  header_ = {.key = key_, .version = version, .dirty = true, .boot = env_.boot};
  table_.clear();
  data_size_ = 0;
  generation_ = 1;
  synced_generation_ = 0;
  new_name_ = true;
  dirty_durable_ = true;  // this header is its first
  owed_first_ = UINT64_MAX;
  owed_end_ = 0;
  char page[kMetaHeaderSize] = {};
  EncodeChunkHeader(header_, page);
  disk->NoteChanged();
  if (int err = env_.ops->PwriteAll(fd, page, sizeof(page), 0); err < 0) {
    Status st = Fail(-err, "write header of");
    env_.ops->Unlink(disk->MetaPath(key_));
    env_.ops->Unlink(disk->DataPath(key_));
    meta_.reset();
    data_.reset();
    return st;
  }
  disk->chunks++;
  disk->changes++;
  return {};
}

void Chunk::Close() {
  // Not finalising is no harm: pending entries are settled when they are next met.
  if (Status st = Finalise(); !st.ok()) {
    KFS_LOG(warn, "chunk.close chunk={} reason=\"{}\"", key_.ToString(), st.ToString());
  }
  meta_.reset();
  data_.reset();
  table_ = {};
}

Status Chunk::Remove() {
  int err = env_.ops->Unlink(disk_->MetaPath(key_));
  if (err < 0 && err != -ENOENT) return Fail(-err, "remove header of");
  disk_->chunks--;
  disk_->changes++;
  disk_->NoteChanged();
  meta_.reset();
  table_ = {};
  err = env_.ops->Unlink(disk_->DataPath(key_));
  data_.reset();
  if (err < 0 && err != -ENOENT) {
    KFS_LOG(warn, "chunk.debris path={} reason=\"{}\"", disk_->DataPath(key_), ErrnoText(-err));
  }
  return {};
}

Status Chunk::Discard(Duration keep, const Clock& clock) {
  // What the table owes is written: it may be asked for again.
  if (open()) {
    if (Status st = Finalise(); !st.ok())
      KFS_LOG(warn, "chunk.discard chunk={} reason=\"{}\"", key_.ToString(), st.ToString());
  }
  Status st = disk_->bin().Put(key_, disk_->MetaPath(key_), disk_->DataPath(key_), keep, clock);
  if (st.err() == ENOSPC) return Remove();  // no room for the folder
  if (!st.ok()) return Fail(st.err(), "discard");
  disk_->chunks--;
  disk_->changes++;
  disk_->NoteChanged();
  meta_.reset();
  data_.reset();
  table_ = {};
  return {};
}

void Chunk::PutBack(Disk* disk) {
  disk_ = disk;
  disk->chunks++;
  disk->changes++;
  disk->NoteChanged();
}

Status Chunk::WriteHeader() {
  char raw[kMetaHeaderUsed];
  EncodeChunkHeader(header_, raw);
  int err = env_.ops->PwriteAll(meta_->get(), raw, sizeof(raw), 0);
  return err < 0 ? Fail(-err, "write header of") : Status();
}

Status Chunk::WriteTable(uint64_t first, uint64_t end) {
  disk_->NoteChanged();
  int err = env_.ops->PwriteAll(meta_->get(), &table_[first], (end - first) * sizeof(BlockEntry),
                                kMetaHeaderSize + first * sizeof(BlockEntry));
  return err < 0 ? Fail(-err, "write table of") : Status();
}

void Chunk::Owe(uint64_t first, uint64_t end) {
  owed_first_ = std::min(owed_first_, first);
  owed_end_ = std::max(owed_end_, end);
}

Status Chunk::Finalise() {
  const uint64_t end = std::min<uint64_t>(owed_end_, table_.size());
  if (owed_first_ < end) KFS_RETURN_IF_ERROR(WriteTable(owed_first_, end));
  owed_first_ = UINT64_MAX;
  owed_end_ = 0;
  return {};
}

// From clean to dirty, on the disk before the first byte changes: otherwise a power cut during the write
// would be taken for corruption. A process may have been killed between writing the header and its sync, so
// that "dirty" was found in the page cache and nowhere else.
Status Chunk::MarkDirty() {
  if (dirty_durable_) return {};
  const ChunkHeader before = header_;
  header_.dirty = true;
  header_.boot = env_.boot;
  Status st = WriteHeader();
  if (st.ok()) {
    int err = env_.ops->Fdatasync(meta_->get());
    if (err < 0) st = Fail(-err, "sync header of");
  }
  dirty_durable_ = st.ok();
  if (st.ok()) return st;
  header_ = before;
  disk_->NoteMarkFailed();
  return st;
}

Result<Chunk::SyncHandle> Chunk::BeginSync() {
  SyncHandle handle{.data = data_,
                    .meta = meta_,
                    .generation = generation_,
                    .needed = generation_ != synced_generation_,
                    .new_name = new_name_};
  if (!handle.needed) return handle;
  // After a failed write-back the kernel forgets what it could not write: a later sync that "succeeds" proves
  // nothing.
  if (!disk_->healthy()) {
    return Status(EIO, fmt::format("{} is out of order ({}): chunk {} cannot be made durable", disk_->path(),
                                   disk_->error(), key_.ToString()));
  }
  KFS_RETURN_IF_ERROR(Finalise());
  return handle;
}

void Chunk::SyncDone(const SyncHandle& handle) {
  synced_generation_ = std::max(synced_generation_, handle.generation);
  if (handle.new_name) new_name_ = false;
}

void Chunk::MarkClean(uint64_t generation) {
  if (generation_ != generation || !header_.dirty) return;
  header_.dirty = dirty_durable_ = false;
  if (Status st = WriteHeader(); !st.ok()) header_.dirty = true;
}

}  // namespace kfs

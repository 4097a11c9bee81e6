// Changes that the metaserver orders: truncate, zero, allocate, and the version that goes with them.
//
// Every step may be applied again after a crash at version `from`; the version is written last, and nobody
// may access the chunk at `to` before. Within a step each block passes only through states that match its
// table entry:
//   (crc=old, pending=zeros) -> hole punched -> (0, 0)
#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "chunkserver/chunk.h"
#include "common/log.h"

namespace kfs {

Status Chunk::Mutate(ChunkVersion to, const Steps& steps, bool* no_space) {
  KFS_RETURN_IF_ERROR(MarkDirty());
  ++generation_;
  bool touched = false;
  for (const pb::ChunkStep& step : steps) {
    const uint64_t offset = step.offset(), length = step.length();
    switch (step.kind()) {
      case pb::ChunkStep::TRUNCATE:
        KFS_RETURN_IF_ERROR(Truncate(offset));
        break;
      case pb::ChunkStep::ZERO:
        KFS_RETURN_IF_ERROR(ZeroRange(offset, offset + length));
        break;
      case pb::ChunkStep::ALLOCATE:
        KFS_RETURN_IF_ERROR(Allocate(offset, length, no_space));
        break;
      default:
        continue;
    }
    touched = true;
  }
  // The metaserver forgets its intent once we answer: by then neither a killed process nor lost power may
  // bring old data back, or the old version.
  auto sync = [&](const FdPtr& file) {
    int err = env_.durable_mutations ? env_.ops->Fdatasync(file->get()) : 0;
    return err < 0 ? Fail(-err, "sync") : Status();
  };
  // A new one may have found data of an older try, and emptied it.
  if (touched || new_name_) KFS_RETURN_IF_ERROR(sync(data_));
  KFS_RETURN_IF_ERROR(Finalise());
  const ChunkVersion from = header_.version;
  header_.version = to;
  Status st = WriteHeader();
  if (st.ok()) st = sync(meta_);
  if (!st.ok()) header_.version = from;  // asked again, we do it again
  return st;
}

Status Chunk::ZeroRange(uint64_t start, uint64_t end) {
  const uint64_t first_whole = BlocksOf(start), end_whole = end / kBlockSize;
  if (first_whole > end_whole)
    return ZeroPart(start / kBlockSize, start % kBlockSize, end % kBlockSize);  // in one block
  if (start % kBlockSize != 0)
    KFS_RETURN_IF_ERROR(ZeroPart(start / kBlockSize, start % kBlockSize, kBlockSize));
  if (end % kBlockSize != 0) KFS_RETURN_IF_ERROR(ZeroPart(end_whole, 0, end % kBlockSize));
  if (first_whole == end_whole) return {};
  const uint64_t end_known = std::min<uint64_t>(end_whole, table_.size());
  if (first_whole < end_known) {
    KFS_RETURN_IF_ERROR(Resolve(first_whole, end_known, Wait::kAllowed));
    for (uint64_t b = first_whole; b < end_known; ++b) {
      if (table_[b].crc != 0) table_[b].pending = ZeroBlockCrc();
    }
    Owe(first_whole, end_known);
    KFS_RETURN_IF_ERROR(WriteTable(first_whole, end_known));
  }
  disk_->NoteChanged();
  int err = env_.ops->Fallocate(data_->get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                first_whole * kBlockSize, (end_whole - first_whole) * kBlockSize);
  if (err == -EOPNOTSUPP) {
    const std::vector<char> zeros(kBlockSize);
    err = 0;
    for (uint64_t b = first_whole; err == 0 && b < end_known; ++b) {
      if (table_[b].crc != 0)
        err = env_.ops->PwriteAll(data_->get(), zeros.data(), kBlockSize, b * kBlockSize);
    }
  }
  if (err < 0) return Fail(-err, "punch a hole into");
  if (first_whole < end_known)
    std::fill(table_.begin() + first_whole, table_.begin() + end_known, BlockEntry{});
  return {};
}

Status Chunk::ZeroPart(uint64_t block, uint64_t from, uint64_t to) {
  const BlockEntry e = Entry(block);
  if (from >= to || (e.crc == 0 && e.pending == 0)) return {};
  char data[kBlockSize];
  if (Status st = LoadBlock(block, data, Wait::kAllowed); !st.ok()) {
    // A corrupt block cannot be mended here, and refusing would hold up the file for ever. Nobody can read it
    // either.
    return st.code() == Code::kCorrupt ? Status() : st;
  }
  if (Entry(block).crc == 0 || IsZero(data + from, to - from)) return {};
  std::memset(data + from, 0, to - from);
  const uint32_t crc = BlockCrc(data);
  iovec iov{data, kBlockSize};
  return WriteBlocks(block, {&crc, 1}, &iov, 1, Wait::kAllowed);
}

Status Chunk::Truncate(uint64_t offset) {
  const uint64_t keep = BlocksOf(offset);
  if (offset % kBlockSize != 0)
    KFS_RETURN_IF_ERROR(ZeroPart(offset / kBlockSize, offset % kBlockSize, kBlockSize));
  if (keep < table_.size()) {
    Status st = Resolve(keep, table_.size(), Wait::kAllowed);
    if (!st.ok()) return st;
    for (uint64_t b = keep; b < table_.size(); ++b) {
      if (table_[b].crc != 0) table_[b].pending = ZeroBlockCrc();
    }
    Owe(keep, table_.size());
    KFS_RETURN_IF_ERROR(WriteTable(keep, table_.size()));
  }
  disk_->NoteChanged();
  int err = 0;
  if (data_size_ > keep * kBlockSize) {
    err = env_.ops->Ftruncate(data_->get(), keep * kBlockSize);
    if (err == 0) data_size_ = keep * kBlockSize;
  } else if (AllocatedBytes() > data_size_) {
    // Blocks reserved beyond the end go only when a file shrinks.
    err = env_.ops->Ftruncate(data_->get(), (keep + 1) * kBlockSize);
    if (err == 0) err = env_.ops->Ftruncate(data_->get(), keep * kBlockSize);
    if (err == 0) data_size_ = keep * kBlockSize;
  }
  if (err < 0) return Fail(-err, "truncate");
  if (keep < table_.size()) {
    // The shorter table says "hole" for what was cut off; the data is gone already.
    err = env_.ops->Ftruncate(meta_->get(), kMetaHeaderSize + keep * sizeof(BlockEntry));
    if (err < 0) return Fail(-err, "truncate table of");
    table_.resize(keep);
    table_.shrink_to_fit();
  }
  return {};
}

Status Chunk::Allocate(uint64_t offset, uint64_t length, bool* no_space) {
  if (length == 0) return {};
  const uint64_t from = offset / kBlockSize * kBlockSize, bytes = RoundUpToBlock(offset + length) - from;
  // The metaserver's intent is durable: a full disk must not hold the chunk up for ever. It is told, and
  // tells whoever asked for the space.
  auto full = [&] {
    *no_space = true;
    KFS_LOG(warn, "chunk.not_reserved chunk={} bytes={} reason=\"the disk is full\"", key_.ToString(), bytes);
    return Status();
  };
  // The reserve is not for users' data. Part of the range may be there already: be generous by that much.
  if (disk_->RefreshSpace().available + AllocatedBytes() < bytes) return full();
  int err = env_.ops->Fallocate(data_->get(), FALLOC_FL_KEEP_SIZE, from, bytes);
  disk_->NoteChanged();
  if (err == -EOPNOTSUPP) return {};
  if (err == -ENOSPC) return full();
  if (err < 0) return Fail(-err, "allocate space for");
  return {};
}

}  // namespace kfs

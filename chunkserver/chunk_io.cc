// Reading and writing blocks of one chunk.
#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "chunkserver/chunk.h"
#include "common/crc32c.h"
#include "common/log.h"
#include "common/reached.h"

namespace kfs {

Status Chunk::ReadData(std::span<const iovec> iov, uint64_t offset, Wait wait) {
  const bool nowait = wait == Wait::kNever;
  std::vector<iovec> rest;
  uint64_t size = 0;
  for (const iovec& v : iov) {
    if (v.iov_len != 0) rest.push_back(v);
    size += v.iov_len;
  }
  uint64_t expected = offset >= data_size_ ? 0 : std::min(size, data_size_ - offset);
  size_t first = 0;
  while (expected > 0) {
    if (nowait && !disk_->nowait_works) return TryAgain();
    ssize_t n = env_.ops->Preadv(data_->get(), rest.data() + first, static_cast<int>(rest.size() - first),
                                 offset, nowait);
    if (nowait && n == -EOPNOTSUPP) disk_->nowait_works = false;
    if (nowait && (n == -EAGAIN || n == -EOPNOTSUPP)) return TryAgain();
    if (n < 0) return Fail(static_cast<int>(-n), "read data of");
    if (nowait && static_cast<uint64_t>(n) < expected) return TryAgain();
    if (n == 0) break;  // shorter than fstat said: the rest is zeros, which the checksums will judge
    offset += static_cast<uint64_t>(n);
    expected -= std::min(expected, static_cast<uint64_t>(n));
    while (n > 0) {
      size_t take = std::min(static_cast<size_t>(n), rest[first].iov_len);
      rest[first].iov_base = static_cast<char*>(rest[first].iov_base) + take;
      rest[first].iov_len -= take;
      n -= static_cast<ssize_t>(take);
      if (rest[first].iov_len == 0) ++first;
    }
  }
  for (; first < rest.size(); ++first) std::memset(rest[first].iov_base, 0, rest[first].iov_len);
  return {};
}

bool Chunk::Settle(uint64_t block, uint32_t actual) {
  const BlockEntry e = Entry(block);
  const bool is_old = e.crc == 0 ? actual == ZeroBlockCrc() : actual == e.crc;
  if (e.pending == 0) return is_old;
  if (actual != e.pending && !is_old) return false;
  table_[block] = {actual == e.pending ? e.pending : e.crc, 0};
  Owe(block, block + 1);
  env_.counters->resolved++;
  KFS_REACHED("chunk.settled");
  return true;
}

bool Chunk::ShouldBeHole(uint64_t first, uint64_t end) const {
  for (uint64_t b = first; b < end; ++b) {
    if (Entry(b).crc != 0 || Entry(b).pending != 0) return false;
  }
  return true;
}

bool Chunk::IsHole(uint64_t first, uint64_t end) {
  const int64_t data = env_.ops->NextData(data_->get(), first * kBlockSize);
  return data == -ENXIO || (data >= 0 && static_cast<uint64_t>(data) >= end * kBlockSize);
}

Result<Buffer> Chunk::Read(uint64_t offset, uint32_t length, Wait wait) {
  const uint64_t end = offset + length;
  const uint64_t first = offset / kBlockSize, last = BlocksOf(end);  // one past
  Buffer payload(length);
  // Whole blocks are read and checked; what the caller did not ask for goes to the two scratch blocks.
  char before[kBlockSize], after[kBlockSize];
  const size_t before_size = offset % kBlockSize, after_size = last * kBlockSize - end;
  const iovec iov[] = {{before, before_size}, {payload.data(), length}, {after, after_size}};
  const bool beyond = first * kBlockSize >= data_size_ && first >= table_.size();
  const bool hole = !beyond && ShouldBeHole(first, last);
  if (hole && wait == Wait::kNever) return TryAgain();
  if (beyond || (hole && IsHole(first, last))) {
    std::memset(payload.data(), 0, length);
    return payload;
  }
  KFS_RETURN_IF_ERROR(ReadData(iov, first * kBlockSize, wait));
  for (uint64_t b = first; b < last; ++b) {
    if (b * kBlockSize >= data_size_ && Entry(b).crc == 0 && Entry(b).pending == 0) continue;
    uint32_t crc = 0;
    const uint64_t begin_at = std::max(b * kBlockSize, offset), end_at = std::min((b + 1) * kBlockSize, end);
    if (b == first) crc = Crc32c(before, before_size, crc);
    crc = Crc32c(payload.data() + (begin_at - offset), end_at - begin_at, crc);
    if (b + 1 == last) crc = Crc32c(after, after_size, crc);
    if (!Settle(b, StoredCrc(crc))) return Corrupt(b, "the data does not match its checksum");
  }
  return payload;
}

Status Chunk::LoadBlock(uint64_t block, char* out, Wait wait) {
  iovec iov{out, kBlockSize};
  KFS_RETURN_IF_ERROR(ReadData({&iov, 1}, block * kBlockSize, wait));
  if (!Settle(block, BlockCrc(out))) return Corrupt(block, "the data does not match its checksum");
  return {};
}

Status Chunk::Resolve(uint64_t first, uint64_t end, Wait wait) {
  char block[kBlockSize];
  for (uint64_t b = first; b < std::min<uint64_t>(end, table_.size()); ++b) {
    if (table_[b].pending == 0) continue;
    iovec iov{block, kBlockSize};
    KFS_RETURN_IF_ERROR(ReadData({&iov, 1}, b * kBlockSize, wait));
    Settle(b, BlockCrc(block));
  }
  return {};
}

Status Chunk::Write(uint64_t offset, std::string_view payload, std::span<const uint32_t> crcs, Wait wait) {
  const uint64_t end = offset + payload.size();
  const uint64_t first = offset / kBlockSize, last = BlocksOf(end);
  if (payload.empty() || crcs.size() != last - first) {
    return Status(EINVAL, Code::kMalformed, "a write needs data and one checksum for each block it touches");
  }
  if (wait == Wait::kNever && !dirty_durable_) return TryAgain();  // MarkDirty syncs
  std::vector<uint32_t> stored(crcs.size());
  for (uint64_t b = first; b < last; ++b) {
    const uint64_t from = std::max(b * kBlockSize, offset), to = std::min((b + 1) * kBlockSize, end);
    uint32_t crc = Crc32c(payload.data() + (from - offset), to - from);
    if (crc != crcs[b - first]) {
      return Status(EIO, Code::kCorrupt, "the data of a write was damaged on its way: checksums differ");
    }
    stored[b - first] = StoredCrc(crc);
  }
  // Partial blocks at the edges: read, check, merge.
  char head[kBlockSize], tail[kBlockSize];
  iovec iov[3] = {};
  uint64_t middle_from = offset, middle_to = end;
  const bool head_partial = offset % kBlockSize != 0 || end < (first + 1) * kBlockSize;
  if (head_partial) {
    KFS_RETURN_IF_ERROR(LoadBlock(first, head, wait));
    middle_from = std::min((first + 1) * kBlockSize, end);
    std::memcpy(head + offset % kBlockSize, payload.data(), middle_from - offset);
    stored[0] = BlockCrc(head);
    iov[0] = {head, kBlockSize};
  }
  if (end % kBlockSize != 0 && !(head_partial && last == first + 1)) {
    KFS_RETURN_IF_ERROR(LoadBlock(last - 1, tail, wait));
    middle_to = (last - 1) * kBlockSize;
    std::memcpy(tail, payload.data() + (middle_to - offset), end - middle_to);
    stored.back() = BlockCrc(tail);
    iov[2] = {tail, kBlockSize};
  }
  if (middle_from < middle_to) {
    iov[1] = {const_cast<char*>(payload.data()) + (middle_from - offset), middle_to - middle_from};
  }
  return WriteBlocks(first, stored, iov, 3, wait);
}

Status Chunk::WriteBlocks(uint64_t first, std::span<const uint32_t> crcs, const iovec* iov, int count,
                          Wait wait) {
  const uint64_t end = first + crcs.size();
  // A block with an unsettled write has two possible contents; a third may come only when it is known which
  // of them.
  KFS_RETURN_IF_ERROR(Resolve(first, end, wait));
  KFS_RETURN_IF_ERROR(EnsureSpace(first, end));
  KFS_RETURN_IF_ERROR(MarkDirty());
  if (table_.size() < end) {
    if (table_.capacity() < end) table_.reserve(std::max<uint64_t>(end, table_.size() + table_.size() / 2));
    table_.resize(end);
  }
  ++generation_;
  for (uint64_t b = first; b < end; ++b) table_[b].pending = crcs[b - first];
  Owe(first, end);
  if (Status st = WriteTable(first, end); !st.ok()) {
    for (uint64_t b = first; b < end; ++b) table_[b].pending = 0;  // the data is as it was
    return st;
  }
  if (int err = env_.ops->PwritevAll(data_->get(), iov, count, first * kBlockSize); err < 0) {
    struct stat st {};  // each block is old or new: left pending, settled when next met
    if (env_.ops->Fstat(data_->get(), &st) == 0) data_size_ = static_cast<uint64_t>(st.st_size);
    return Fail(-err, "write data of");
  }
  data_size_ = std::max(data_size_, end * kBlockSize);
  for (uint64_t b = first; b < end; ++b) table_[b] = {crcs[b - first], 0};
  return {};
}

// Near a full disk, space for new blocks is taken before anything changes, and the reserve is left alone.
// With plenty of room this costs nothing.
Status Chunk::EnsureSpace(uint64_t first, uint64_t end) {
  uint64_t fresh = 0;
  auto is_new = [&](uint64_t b) { return Entry(b).crc == 0 && Entry(b).pending == 0; };
  for (uint64_t b = first; b < end; ++b) fresh += is_new(b);
  if (fresh == 0 || disk_->PlentyOfSpace(fresh * kBlockSize)) return {};
  const uint64_t before = AllocatedBytes();
  for (uint64_t b = first; b < end;) {
    uint64_t run = b;
    while (run < end && is_new(run)) ++run;
    if (run == b) {
      ++b;
      continue;
    }
    const uint64_t at = b * kBlockSize, bytes = (run - b) * kBlockSize;
    int err = env_.ops->Fallocate(data_->get(), FALLOC_FL_KEEP_SIZE, at, bytes);
    if (err == -EOPNOTSUPP) return {};
    // Blocks reserved earlier by fallocate may be used to the last one; new ones may not touch the reserve.
    const bool grew = err == 0 && AllocatedBytes() > before;
    if (err < 0 || (grew && disk_->RefreshSpace().available == 0)) {
      env_.ops->Fallocate(data_->get(), FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, at, bytes);
      return Fail(err < 0 ? -err : ENOSPC, "allocate space for");
    }
    b = run;
  }
  return {};
}

Result<Chunk::SeekResult> Chunk::Seek(uint64_t offset, Wait wait) {
  SeekResult r{.data = UINT64_MAX, .hole = UINT64_MAX};
  for (uint64_t b = offset / kBlockSize; r.data == UINT64_MAX || r.hole == UINT64_MAX; ++b) {
    const uint64_t at = std::max(offset, b * kBlockSize);
    if (b >= table_.size()) {
      if (r.hole == UINT64_MAX) r.hole = at;
      break;
    }
    KFS_RETURN_IF_ERROR(Resolve(b, b + 1, wait));
    uint64_t& found = Entry(b).crc == 0 ? r.hole : r.data;
    if (found == UINT64_MAX) found = at;
  }
  return r;
}

uint64_t Chunk::AllocatedBytes() {
  struct stat st {};
  return env_.ops->Fstat(data_->get(), &st) == 0 ? static_cast<uint64_t>(st.st_blocks) * 512 : 0;
}

}  // namespace kfs

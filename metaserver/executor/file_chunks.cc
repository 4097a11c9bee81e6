#include "metaserver/executor/file_chunks.h"

#include <algorithm>
#include <optional>

#include "metaserver/store/keys.h"
#include "proto/chunk.pb.h"

namespace kfs::meta {
namespace {

// Up to here a range of indexes is read one by one: cheaper than an iterator, and it needs no commit.
constexpr uint64_t kPointReads = 8;
constexpr size_t kXattrsOfStep = 32;  // of up to 64 KiB each

bool GetChunk(Txn& txn, Ino ino, uint32_t index, rec::Chunk* chunk) {
  std::optional<std::string> value = txn.Get(ChunkKey(ino, index));
  return value && chunk->ParseFromString(*value);
}

}  // namespace

rec::Step MakeStep(pb::ChunkStep::Kind kind, uint64_t offset, uint64_t length) {
  rec::Step step;
  step.set_kind(kind);
  step.set_offset(offset);
  step.set_length(length);
  return step;
}

std::vector<ChunkRow> ListChunks(Txn& txn, const rec::Inode& inode, uint64_t first, uint64_t last,
                                 size_t max) {
  std::vector<ChunkRow> rows;
  Ino ino(inode.ino());
  if (inode.chunk_count() == 0 || first > UINT32_MAX) return rows;
  last = std::min<uint64_t>(last, UINT32_MAX);
  ChunkRow row;
  for (uint64_t i = first; i <= last && i - first < kPointReads && rows.size() < max; ++i) {
    row.index = static_cast<uint32_t>(i);
    if (GetChunk(txn, ino, row.index, &row.chunk)) rows.push_back(row);
  }
  if (last - first < kPointReads || rows.size() >= max || rows.size() == inode.chunk_count()) return rows;
  std::string end = last == UINT32_MAX ? ChunkPrefix(Ino(ino.v + 1)).str()
                                       : ChunkKey(ino, static_cast<uint32_t>(last + 1)).str();
  Key from = ChunkKey(ino, static_cast<uint32_t>(first + kPointReads));
  for (const auto& [key, value] : txn.List(ChunkPrefix(ino), from, end, max - rows.size())) {
    row.index = KeyU32(key, 9);
    if (row.chunk.ParseFromString(value)) rows.push_back(row);
  }
  return rows;
}

void PutChunk(Txn& txn, Ino ino, const ChunkRow& row) {
  txn.Put(ChunkKey(ino, row.index), row.chunk.SerializeAsString());
}

Result<ChunkRow> NewChunk(Volume& volume, Txn& txn, rec::Inode* inode, uint32_t index) {
  KFS_RETURN_IF_ERROR(volume.CheckRoom());
  std::vector<Candidate> candidates = volume.servers.Candidates();
  for (Candidate& c : candidates) c.promised = std::min(c.promised + txn.placed(c.id), c.capacity);
  std::vector<ServerId> chosen =
      Choose(candidates, volume.info.replicas(), volume.chunk_size(), volume.random);
  if (chosen.empty()) {
    bool any_up = std::any_of(candidates.begin(), candidates.end(), [](const Candidate& c) { return c.up; });
    bool any_disk = std::any_of(candidates.begin(), candidates.end(),
                                [](const Candidate& c) { return c.up && c.capacity != 0; });
    if (any_up && !any_disk) return Status(EIO, "no chunkserver has a disk that works");
    if (any_up) return Status(ENOSPC, "all chunkservers are full");
    const auto& all = volume.servers.all();
    if (candidates.empty() &&
        std::any_of(all.begin(), all.end(), [](const auto& s) { return s.second.up; }) &&
        std::all_of(all.begin(), all.end(),
                    [](const auto& s) { return s.second.label.contains("cordoned"); }))
      return Status(ENOSPC, "all chunkservers are cordoned (see: kfs chunkserver list)");
    return Status(EAGAIN, Code::kTryAgain, "no chunkserver is connected");
  }
  ChunkRow row;
  row.index = index;
  row.chunk.set_chunk(txn.NewChunk().v);
  row.chunk.set_version(kFirstChunkVersion.v);
  row.chunk.set_refs(1);
  for (ServerId s : chosen) {
    row.chunk.add_server(s.v);
    txn.Place(s, volume.chunk_size());
    Volume* v = &volume;
    txn.OnApply([v, s] { v->servers.Placed(s, v->chunk_size()); });
  }
  Ino ino(inode->ino());
  PutChunk(txn, ino, row);
  rec::ChunkOwner owner;
  owner.set_ino(ino.v);
  owner.set_index(index);
  txn.Put(OwnerKey(ChunkId(row.chunk.chunk())), owner.SerializeAsString());
  inode->set_chunk_count(inode->chunk_count() + 1);
  return row;
}

bool Doubtful(const Volume& volume, const rec::Chunk& chunk) {
  return !chunk.written() && chunk.chunk() < volume.store.counters().doubtful_before();
}

void FreeChunk(Volume& volume, Txn& txn, rec::Inode* inode, const ChunkRow& row) {
  ChunkId chunk(row.chunk.chunk());
  txn.Delete(ChunkKey(Ino(inode->ino()), row.index));
  txn.Delete(OwnerKey(chunk));
  Volume* v = &volume;
  for (uint64_t server : row.chunk.server()) {
    txn.Put(GarbageKey(ServerId(server), chunk), "");
    txn.OnApply([v, server, chunk] { v->garbage.Added(ServerId(server), chunk); });
  }
  txn.OnApply([v, chunk] { v->mutations.Forget(chunk); });
  inode->set_chunk_count(inode->chunk_count() - 1);
  inode->set_allocated(inode->allocated() - row.chunk.allocated());
  txn.CountBytes(-static_cast<int64_t>(row.chunk.allocated()));
}

void Mutate(Volume& volume, Txn& txn, Ino ino, ChunkRow* row, const std::vector<rec::Step>& steps,
            uint64_t to) {
  rec::Mutation m;
  m.set_chunk(row->chunk.chunk());
  m.set_from(row->chunk.version());
  m.set_to(std::max(to, row->chunk.version() + 1));
  for (const rec::Step& s : steps) *m.add_step() = s;
  *m.mutable_server() = row->chunk.server();
  row->chunk.set_version(m.to());
  PutChunk(txn, ino, *row);
  txn.Put(MutationKey(ChunkId(m.chunk()), ChunkVersion(m.to())), m.SerializeAsString());
  Volume* v = &volume;
  txn.OnApply([v, m = std::move(m)]() mutable { v->mutations.Add(std::move(m)); });
}

void ZeroRange(Volume& volume, Txn& txn, const rec::Inode& inode, uint64_t start, uint64_t end) {
  if (start >= end) return;
  const uint64_t cs = volume.chunk_size();
  for (ChunkRow& row : ListChunks(txn, inode, start / cs, (end - 1) / cs)) {
    uint64_t base = row.index * cs;
    uint64_t from = std::max(start, base) - base;
    uint64_t to = std::min(end, base + cs) - base;
    Mutate(volume, txn, Ino(inode.ino()), &row, {MakeStep(pb::ChunkStep::ZERO, from, to - from)});
  }
}

bool FreeStep(Volume& volume, Txn& txn, Ino ino, uint64_t max, uint64_t* from) {
  rec::Inode* inode = txn.Edit(ino);
  if (inode->chunk_count() > 0) {
    std::vector<ChunkRow> rows = ListChunks(txn, *inode, *from, UINT32_MAX, max);
    for (const ChunkRow& row : rows) FreeChunk(volume, txn, inode, row);
    const bool again = !rows.empty() || *from != 0;  // from the beginning, if it was made shorter meanwhile
    *from = rows.empty() ? 0 : uint64_t{rows.back().index} + 1;
    if (inode->chunk_count() > 0 && again) return false;
  }
  if (inode->xattr_count() > 0) {
    std::string end = XattrPrefix(Ino(ino.v + 1)).str();
    const auto some = txn.List(XattrPrefix(ino), XattrPrefix(ino), end, kXattrsOfStep);
    for (const auto& [key, value] : some) txn.Delete(key);
    if (some.size() == kXattrsOfStep) return false;
  }
  txn.Delete(OrphanKey(ino));
  if (volume.freeing.FindTrim(ino) != nullptr) {
    txn.Delete(TrimKey(ino));
    Volume* v = &volume;
    txn.OnApply([v, ino] { v->freeing.EndTrim(ino); });
  }
  txn.Remove(ino);
  txn.CountInodes(-1);
  return true;
}

void StartTrim(Volume& volume, Txn& txn, Ino ino) {
  rec::Trim trim;
  trim.set_before_chunk(txn.next_chunk());
  txn.Put(TrimKey(ino), trim.SerializeAsString());
  Volume* v = &volume;
  txn.OnApply([v, ino, before = trim.before_chunk()] {
    v->freeing.StartTrim(ino, before);
    v->Changed();
  });
}

bool TrimStep(Volume& volume, Txn& txn, Ino ino) {
  const Freeing::Trim* trim = volume.freeing.FindTrim(ino);
  if (trim == nullptr) return true;
  Volume* v = &volume;
  const rec::Inode* found = txn.Find(ino);
  std::vector<ChunkRow> rows;
  if (found != nullptr) {
    const uint64_t cs = volume.chunk_size();
    const uint64_t behind = found->size() / cs + (found->size() % cs == 0 ? 0 : 1);
    rows = ListChunks(txn, *found, std::max<uint64_t>(behind, trim->from), UINT32_MAX, kChunksOfStep);
  }
  if (!rows.empty()) {
    rec::Inode* inode = txn.Edit(ino);
    for (const ChunkRow& row : rows) {
      if (row.chunk.chunk() < trim->before) FreeChunk(volume, txn, inode, row);
    }
  }
  if (rows.size() < kChunksOfStep) {
    txn.Delete(TrimKey(ino));
    txn.OnApply([v, ino] { v->freeing.EndTrim(ino); });
    return true;
  }
  // What was made since is passed over: this comes to an end however fast it is made.
  txn.OnApply([v, ino, next = uint64_t{rows.back().index} + 1] { v->freeing.TrimFrom(ino, next); });
  return false;
}

}  // namespace kfs::meta

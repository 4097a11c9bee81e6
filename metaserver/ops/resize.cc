#include "metaserver/ops/resize.h"

#include <algorithm>

#include "metaserver/store/keys.h"
#include "proto/chunk.pb.h"

namespace kfs::meta {

void StartTrim(Volume& volume, Txn& txn, Ino ino) {
  rec::Trim trim;
  trim.set_before_chunk(volume.store.counters().next_chunk());
  txn.Put(TrimKey(ino), trim.SerializeAsString());
  Volume* v = &volume;
  txn.OnApply([v, ino, before = trim.before_chunk()] { v->StartTrim(ino, before); });
}

bool TrimStep(Volume& volume, Txn& txn, Ino ino) {
  const Volume::Trim* trim = volume.FindTrim(ino);
  if (trim == nullptr) return true;
  Volume* v = &volume;
  const rec::Inode* found = txn.Find(ino);
  std::vector<ChunkRow> rows;
  if (found != nullptr) {
    const uint64_t cs = volume.chunk_size();
    const uint64_t behind = found->size() / cs + (found->size() % cs == 0 ? 0 : 1);
    rows = ListChunks(volume, txn, *found, std::max<uint64_t>(behind, trim->from), UINT32_MAX, kChunksOfStep);
  }
  if (!rows.empty()) {
    rec::Inode* inode = txn.Edit(ino);
    for (const ChunkRow& row : rows) {
      if (row.chunk.chunk() < trim->before) FreeChunk(volume, txn, inode, row);
    }
  }
  if (rows.size() < kChunksOfStep) {
    txn.Delete(TrimKey(ino));
    txn.OnApply([v, ino] { v->EndTrim(ino); });
    return true;
  }
  // What was made since is passed over: this comes to an end however fast it is made.
  txn.OnApply([v, ino, next = uint64_t{rows.back().index} + 1] { v->TrimFrom(ino, next); });
  return false;
}

bool SettleTrim(OpEnv& env, Ino ino) {
  if (env.volume.FindTrim(ino) == nullptr) return true;
  TrimStep(env.volume, env.txn, ino);
  RunAgain(env);
  return false;
}

Result<bool> ReadyToGrow(OpEnv& env, Ino ino, uint64_t size) {
  const rec::Inode* inode = env.txn.Find(ino);
  if (size <= inode->size()) return true;
  if (!SettleTrim(env, ino)) return false;
  const uint64_t cs = env.volume.chunk_size();
  const uint64_t from = std::max(inode->size(), env.call->zeroed_to);
  if (from >= size) return true;
  const std::vector<ChunkRow> rows =
      ListChunks(env.volume, env.txn, *inode, from / cs, (size - 1) / cs, kChunksOfStep + 1);
  Result<bool> waits = WaitForBacklog(env, rows);
  if (!waits.ok()) return waits.status();
  if (*waits) return false;
  if (rows.size() <= kChunksOfStep) return true;
  env.call->zeroed_to = rows.back().index * cs;
  ZeroRange(env.volume, env.txn, *inode, from, env.call->zeroed_to);
  RunAgain(env);
  return false;
}

void SetSize(OpEnv& env, rec::Inode* inode, uint64_t size) {
  Volume& volume = env.volume;
  const uint64_t cs = volume.chunk_size();
  const Ino ino(inode->ino());
  if (size > inode->size()) {
    ZeroRange(volume, env.txn, *inode, std::max(inode->size(), env.call->zeroed_to), size);
    inode->set_size(size);
    return;
  }
  std::vector<ChunkRow> rows = ListChunks(volume, env.txn, *inode, size / cs, UINT32_MAX, kChunksOfStep + 1);
  if (rows.size() > kChunksOfStep) {
    rows.pop_back();
    StartTrim(volume, env.txn, ino);
  }
  for (ChunkRow& row : rows) {
    const uint64_t base = row.index * cs;
    if (base >= size) {
      FreeChunk(volume, env.txn, inode, row);
    } else if (size < inode->size()) {
      Mutate(volume, env.txn, ino, &row, {MakeStep(pb::ChunkStep::TRUNCATE, size - base, 0)});
    }
  }
  inode->set_size(size);
}

}  // namespace kfs::meta

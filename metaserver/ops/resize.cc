#include "metaserver/ops/resize.h"

#include <algorithm>

#include "proto/chunk.pb.h"

namespace kfs::meta {

bool SettleTrim(OpEnv& env, Ino ino) {
  if (env.volume.freeing.FindTrim(ino) == nullptr) return true;
  TrimStep(env.volume, env.txn, ino);
  AskRerun(env);
  return false;
}

Result<bool> ReadyToGrow(OpEnv& env, Ino ino, uint64_t size) {
  const rec::Inode* inode = env.txn.Find(ino);
  if (size <= inode->size()) return true;
  if (!SettleTrim(env, ino)) return false;
  const uint64_t cs = env.volume.chunk_size();
  const uint64_t from = std::max(inode->size(), env.progress.zeroed_to);
  if (from >= size) return true;
  const std::vector<ChunkRow> rows =
      ListChunks(env.txn, *inode, from / cs, (size - 1) / cs, kChunksOfStep + 1);
  Result<bool> waits = WaitForBacklog(env, rows);
  if (!waits.ok()) return waits.status();
  if (*waits) return false;
  if (rows.size() <= kChunksOfStep) return true;
  env.progress.zeroed_to = rows.back().index * cs;
  ZeroRange(env.volume, env.txn, *inode, from, env.progress.zeroed_to);
  AskRerun(env);
  return false;
}

void SetSize(OpEnv& env, rec::Inode* inode, uint64_t size) {
  Volume& volume = env.volume;
  const uint64_t cs = volume.chunk_size();
  const Ino ino(inode->ino());
  if (size > inode->size()) {
    ZeroRange(volume, env.txn, *inode, std::max(inode->size(), env.progress.zeroed_to), size);
    inode->set_size(size);
    return;
  }
  std::vector<ChunkRow> rows = ListChunks(env.txn, *inode, size / cs, UINT32_MAX, kChunksOfStep + 1);
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

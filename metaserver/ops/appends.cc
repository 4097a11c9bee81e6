#include "metaserver/ops/appends.h"

#include <algorithm>

#include "common/reached.h"

namespace kfs::meta {

Result<bool> WaitForAppend(OpEnv& env, Ino ino) {
  Appender* appender = env.volume.appenders.Find(ino);
  if (appender == nullptr) return false;
  if (appender->waiters.size() >= Appenders::kWaitersMax) {
    std::erase_if(appender->waiters, [](const ParkedPtr& p) { return p->call == nullptr; });
  }
  if (appender->waiters.size() >= Appenders::kWaitersMax)
    return Status(EAGAIN, Code::kTryAgain, "too many wait for an append");
  KFS_REACHED("append.waits");
  env.Park("append", [volume = &env.volume, ino](const ParkedPtr& parked) {
    volume->appenders.Find(ino)->waiters.push_back(parked);
  });
  return true;
}

bool MakeAppendSafe(OpEnv& env, const rec::Inode& inode) {
  const Ino ino(inode.ino());
  if (env.volume.appenders.Safe(ino)) return false;
  KFS_REACHED("append.made_safe");
  Volume* volume = &env.volume;
  env.txn.OnApply([volume, ino] { volume->appenders.SetSafe(ino); });
  // All chunks that the longest append may have touched.
  const uint64_t cs = env.volume.chunk_size();
  bool mutated = false;
  for (ChunkRow& row : ListChunks(env.txn, inode, inode.size() / cs, (inode.size() + kWriteMax - 1) / cs)) {
    Mutate(env.volume, env.txn, ino, &row, {});
    mutated = true;
  }
  return mutated;
}

Result<bool> MayCountBesideAppends(OpEnv& env, const rec::Inode& inode, const pb::CommitWriteRequest& write) {
  if (inode.appended_to() == 0) return true;
  const uint64_t end = write.offset() + write.length();
  if (end > inode.size()) {
    Result<bool> waits = WaitForAppend(env, Ino(inode.ino()));
    if (!waits.ok()) return waits;
    if (*waits || MakeAppendSafe(env, inode)) {
      if (!*waits) AskRerun(env);
      env.progress.append_waited = true;
      return false;
    }
  }
  // What was cut off since has taken its chunks' versions with it.
  const uint64_t appended = std::min(inode.appended_to(), inode.size());
  const bool beneath = write.has_size_seen() && write.offset() < appended && end > write.size_seen() &&
                       write.size_seen() < appended;
  if (env.progress.append_waited || beneath) {
    KFS_REACHED("commit.beneath_an_append");
    return Status(ESTALE, Code::kStaleChunk, "an append may have written over it meanwhile");
  }
  return true;
}

}  // namespace kfs::meta

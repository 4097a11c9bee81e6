// What keeps late writes out, seen from the ops on data: only who has the file open gets at it, waiting for
// fences, and giving writes up.
#include <sys/stat.h>

#include "common/limits.h"
#include "metaserver/executor/executor.h"
#include "metaserver/ops/chunk_ops.h"
#include "metaserver/ops/common.h"
#include "metaserver/ops/handlers.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

Result<const rec::Inode*> GetOpenFile(OpEnv& env, uint64_t ino, uint32_t rights) {
  Result<const rec::Inode*> inode = GetInode(env, ino);
  if (!inode.ok()) return inode;
  if (S_ISDIR((*inode)->mode())) return Status(EISDIR, "is a directory");
  if (!S_ISREG((*inode)->mode())) return Status(EINVAL, "not a regular file");
  auto it = env.session.opens.find(Ino(ino));
  if (it == env.session.opens.end()) return Status(EBADF, "the session does not have the file open");
  if ((it->second.rights & rights) != rights)
    return Status(EACCES, "the session does not have the file open for that");
  return inode;
}

Result<bool> WaitForFences(OpEnv& env, Ino ino, const std::vector<ChunkRow>& rows) {
  for (const ChunkRow& row : rows) {
    for (uint64_t server : row.chunk.server()) {
      if (!env.volume.fences.Pending(ServerId(server), ino, env.session.id)) continue;
      ParkedPtr parked = env.Park("fence");
      if (env.volume.fences.Wait(parked)) return true;
      env.executor.Unpark(parked);
      env.parked = false;
      return Status(EAGAIN, Code::kTryAgain, "too many calls wait for fences");
    }
  }
  return false;
}

bool GiveUp(OpEnv& env, Ino ino, const google::protobuf::RepeatedPtrField<pb::GivenUpChunk>& given_up) {
  bool changed = false;
  for (const pb::GivenUpChunk& g : given_up) {
    std::optional<std::string> value = env.txn.Get(OwnerKey(ChunkId(g.chunk())));
    rec::ChunkOwner owner;
    if (!value || !owner.ParseFromString(*value) || Ino(owner.ino()) != ino) continue;
    for (ChunkRow& row : ListChunks(env.volume, env.txn, *env.txn.Find(ino), owner.index(), owner.index())) {
      if (row.chunk.chunk() != g.chunk() || row.chunk.version() != g.version()) continue;
      if (row.chunk.written()) {
        Mutate(env.volume, env.txn, ino, &row, {});
      } else {
        FreeChunk(env.volume, env.txn, env.txn.Edit(ino), row);
      }
      changed = true;
    }
  }
  return changed;
}

Status Handle(OpEnv& env, const pb::GiveUpWriteRequest& request, pb::Empty*) {
  Result<const rec::Inode*> inode = GetOpenFile(env, request.ino(), kWriteChunk);
  if (!inode.ok()) return inode.status();
  if (static_cast<size_t>(request.given_up_size()) > kInventoryBatch)
    return Status(EINVAL, Code::kMalformed, "too many chunks given up at once");
  GiveUp(env, Ino(request.ino()), request.given_up());
  return {};
}

}  // namespace kfs::meta

// What keeps late writes out, seen from the ops on data: only who has the file open gets at it, waiting for
// fences, and giving writes up.
#include <sys/stat.h>

#include <map>

#include "common/limits.h"
#include "common/reached.h"
#include "metaserver/executor/executor.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/chunk_ops.h"
#include "metaserver/ops/common.h"
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
      KFS_REACHED("call.waits_for_fence");
      env.Park("fence", [volume = &env.volume](const ParkedPtr& parked) { volume->fences.Wait(parked); });
      return true;
    }
  }
  return false;
}

Result<GivenUp> GiveUp(OpEnv& env, Ino ino,
                       const google::protobuf::RepeatedPtrField<pb::GivenUpChunk>& given_up) {
  if (static_cast<size_t>(given_up.size()) > kGivenUpMax)
    return Status(EINVAL, Code::kMalformed, "too many chunks given up at once");
  std::map<uint64_t, ChunkRow> rows;  // a chunk that is named twice is given up once
  for (const pb::GivenUpChunk& g : given_up) {
    std::optional<std::string> value = env.txn.Get(OwnerKey(ChunkId(g.chunk())));
    rec::ChunkOwner owner;
    if (!value || !owner.ParseFromString(*value) || Ino(owner.ino()) != ino) continue;
    for (ChunkRow& row : ListChunks(env.txn, *env.txn.Find(ino), owner.index(), owner.index())) {
      if (row.chunk.chunk() != g.chunk() || row.chunk.version() != g.version()) continue;
      // Whoever gives up the same chunk in a loop does not leave its chunkserver behind without end.
      Result<bool> waits = WaitForBacklog(env, {row});
      if (!waits.ok()) return waits.status();
      if (*waits) return GivenUp::kWaits;
      rows.emplace(g.chunk(), std::move(row));
    }
  }
  for (auto& [chunk, row] : rows) {
    KFS_REACHED("write.given_up");
    if (row.chunk.written()) {
      Mutate(env.volume, env.txn, ino, &row, {});
    } else {
      FreeChunk(env.volume, env.txn, env.txn.Edit(ino), row);
    }
  }
  return rows.empty() ? GivenUp::kNothing : GivenUp::kChanged;
}

Status Handle(OpEnv& env, const pb::GiveUpWriteRequest& request, pb::Empty*) {
  Result<const rec::Inode*> inode = GetOpenFile(env, request.ino(), kWriteChunk);
  if (!inode.ok()) return inode.status();
  return GiveUp(env, Ino(request.ino()), request.given_up()).status();
}

}  // namespace kfs::meta

// Fsync: answered once the log has been synced past everything acknowledged before it. ESTALE when the inode
// does not exist (any more): after a loss of power that took it along nothing can be made durable.
#include "metaserver/executor/executor.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/common.h"

namespace kfs::meta {

Status Handle(OpEnv& env, const pb::FsyncRequest& request, pb::Empty*) {
  if (Result<const rec::Inode*> inode = GetInode(env, request.ino()); !inode.ok()) return inode.status();
  env.Park("sync", [executor = &env.executor, volume = &env.volume](const ParkedPtr& parked) {
    executor->FinishAfterSync(*volume, parked);
  });
  return {};
}

}  // namespace kfs::meta

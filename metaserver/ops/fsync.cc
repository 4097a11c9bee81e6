// Fsync: answered once the log has been synced past everything acknowledged before it.
#include "metaserver/executor/executor.h"
#include "metaserver/ops/handlers.h"

namespace kfs::meta {

Status Handle(OpEnv& env, const pb::FsyncRequest&, pb::Empty*) {
  env.executor.FinishAfterSync(env.volume, env.Park("sync"));
  return {};
}

}  // namespace kfs::meta

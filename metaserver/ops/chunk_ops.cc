#include "metaserver/ops/chunk_ops.h"

#include <fmt/format.h>

#include "common/reached.h"
#include "metaserver/executor/executor.h"

namespace kfs::meta {

Result<bool> WaitForMutations(OpEnv& env, const std::vector<ChunkRow>& rows, bool only_written) {
  for (const ChunkRow& row : rows) {
    ChunkId chunk(row.chunk.chunk());
    if ((only_written && !row.chunk.written()) || !env.volume.mutations.Pending(chunk)) continue;
    if (const uint64_t gone = env.volume.mutations.Gone(chunk); gone != 0 && env.volume.settled())
      return Status(
          EIO, fmt::format("chunk {} was on chunkserver {}, which has been removed as lost", chunk.v, gone));
    KFS_REACHED("call.waits_for_mutation");
    env.Park("mutation", [volume = &env.volume, chunk](const ParkedPtr& parked) {
      volume->mutations.Wait(chunk, parked);
    });
    return true;
  }
  return false;
}

Result<bool> WaitForBacklog(OpEnv& env, const std::vector<ChunkRow>& rows) {
  for (const ChunkRow& row : rows) {
    const ChunkId chunk(row.chunk.chunk());
    if (env.volume.mutations.Backlog(chunk) >= kBacklogMax) return WaitForMutations(env, {row}, false);
  }
  return false;
}

void AskRerun(OpEnv& env) {
  env.Park("mutation", [executor = &env.executor](const ParkedPtr& parked) { executor->Rerun(parked); });
}

}  // namespace kfs::meta

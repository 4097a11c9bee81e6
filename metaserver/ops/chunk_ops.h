// What the data ops share: the file that they are about, and what they wait for.
#pragma once

#include <vector>

#include "metaserver/executor/file_chunks.h"
#include "metaserver/executor/op_env.h"

namespace kfs::meta {

// A regular file that the session has open for all of `rights` (bits of ChunkRights; 0: for anything).
// Errors: ESTALE, EISDIR, EINVAL (no regular file), EBADF (it is not open), EACCES (not for that).
Result<const rec::Inode*> GetOpenFile(OpEnv& env, uint64_t ino, uint32_t rights);
// True when the op must wait until nobody who has gone can still write into one of the chunks; it has been
// parked then, and will be run again (docs/fencing.md).
Result<bool> WaitForFences(OpEnv& env, Ino ino, const std::vector<ChunkRow>& rows);
// What was given up does not land any more, or not in a chunk of the file: the version rises, or, where
// nothing was ever committed, the chunk goes. kWaits: the op has been parked, and will be run again. Errors:
// EINVAL (more than kGivenUpMax), EAGAIN.
enum class GivenUp : uint8_t { kNothing, kChanged, kWaits };
Result<GivenUp> GiveUp(OpEnv& env, Ino ino,
                       const google::protobuf::RepeatedPtrField<pb::GivenUpChunk>& given_up);

// True when the op must wait for one of the chunks; it has been parked then, and will be run again.
Result<bool> WaitForMutations(OpEnv& env, const std::vector<ChunkRow>& rows, bool only_written);
// The same when one of the chunks has so many mutations behind it that a loop of small changes has left its
// chunkserver far behind: it must not grow without end.
Result<bool> WaitForBacklog(OpEnv& env, const std::vector<ChunkRow>& rows);
constexpr size_t kBacklogMax = 16;
// Mutations of this txn count only once it is applied, so an op that makes some is run again at once.
void AskRerun(OpEnv& env);

}  // namespace kfs::meta

// What the data ops share: a file's chunk records, and durable intents (mutations) on chunks.
#pragma once

#include <vector>

#include "metaserver/executor/op_env.h"
#include "metaserver/executor/volume.h"

namespace kfs::meta {

struct ChunkRow {
  uint32_t index = 0;
  rec::Chunk chunk;
};

// Chunks with indexes in [first, last], in order.
std::vector<ChunkRow> ListChunks(Volume& volume, Txn& txn, const rec::Inode& inode, uint64_t first,
                                 uint64_t last, size_t max = SIZE_MAX);
void PutChunk(Txn& txn, Ino ino, const ChunkRow& row);

// Allocates a chunk on servers chosen now. ENOSPC, EIO (all disks are sick), or EAGAIN/kTryAgain when no
// chunkserver is there.
Result<ChunkRow> NewChunk(Volume& volume, Txn& txn, rec::Inode* inode, uint32_t index);
// Drops the record; its replicas become garbage.
void FreeChunk(Volume& volume, Txn& txn, rec::Inode* inode, const ChunkRow& row);

rec::Step MakeStep(pb::ChunkStep::Kind kind, uint64_t offset, uint64_t length);
// Raises the chunk's version and leaves a mutation for its servers, in this txn.
void Mutate(Volume& volume, Txn& txn, Ino ino, ChunkRow* row, const std::vector<rec::Step>& steps,
            uint64_t to = 0);

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
void RunAgain(OpEnv& env);

// Chunks that an op changes in one step, some milliseconds of the loop; then others have their turn.
constexpr size_t kChunksOfStep = 256;

// Makes [start, end) of existing chunks read as zeros: holes where whole blocks are.
void ZeroRange(Volume& volume, Txn& txn, const rec::Inode& inode, uint64_t start, uint64_t end);

// Frees at most `max` chunks of a nameless inode; with the last ones the inode itself, its xattrs and its
// orphan record. True when it is gone. `from`: the first index that there may still be, which goes on with
// each step: to look from the beginning again each time is to walk over all that has been freed.
bool FreeStep(Volume& volume, Txn& txn, Ino ino, uint64_t max, uint64_t* from);

}  // namespace kfs::meta

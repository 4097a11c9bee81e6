// A file's chunk records, durable intents (mutations) on chunks, and the steps in which chunks are freed:
// what ops do to a file, and the volume by itself. All of it is part of the caller's txn.
#pragma once

#include <vector>

#include "metaserver/executor/volume.h"

namespace kfs::meta {

struct ChunkRow {
  uint32_t index = 0;
  rec::Chunk chunk;
};

// Chunks with indexes in [first, last], in order.
std::vector<ChunkRow> ListChunks(Txn& txn, const rec::Inode& inode, uint64_t first, uint64_t last,
                                 size_t max = SIZE_MAX);
void PutChunk(Txn& txn, Ino ino, const ChunkRow& row);

// Allocates a chunk on servers chosen now. ENOSPC, EIO (all disks are sick), or EAGAIN/kTryAgain when no
// chunkserver is there.
Result<ChunkRow> NewChunk(Volume& volume, Txn& txn, rec::Inode* inode, uint32_t index);
// Drops the record; its replicas become garbage.
void FreeChunk(Volume& volume, Txn& txn, rec::Inode* inode, const ChunkRow& row);

// Nothing counts as written to it, but there may be data: a commit may have been forgotten (loss of power, a
// restored backup). It is never written to: what is there would be read with the first new commit.
bool Doubtful(const Volume& volume, const rec::Chunk& chunk);

rec::Step MakeStep(pb::ChunkStep::Kind kind, uint64_t offset, uint64_t length);
// Raises the chunk's version and leaves a mutation for its servers, in this txn.
void Mutate(Volume& volume, Txn& txn, Ino ino, ChunkRow* row, const std::vector<rec::Step>& steps,
            uint64_t to = 0);

// Chunks that an op changes in one step, some milliseconds of the loop; then others have their turn.
constexpr size_t kChunksOfStep = 256;

// Makes [start, end) of existing chunks read as zeros: holes where whole blocks are.
void ZeroRange(Volume& volume, Txn& txn, const rec::Inode& inode, uint64_t start, uint64_t end);

// Frees at most `max` chunks of a nameless inode; with the last ones the inode itself, its xattrs and its
// orphan record. True when it is gone. `from`: the first index that there may still be, which goes on with
// each step: to look from the beginning again each time is to walk over all that has been freed.
bool FreeStep(Volume& volume, Txn& txn, Ino ino, uint64_t max, uint64_t* from);

// ---- files that were cut. Chunks behind the end that are more than a step stay for a while, noted as a
// Trim, durably, and are freed in the volume's own steps.

// The chunks that are behind the file's end now are to be freed.
void StartTrim(Volume& volume, Txn& txn, Ino ino);
// Frees some of them. True: that was all.
bool TrimStep(Volume& volume, Txn& txn, Ino ino);

}  // namespace kfs::meta

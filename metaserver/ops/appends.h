// Appends, and writes beside them. An append has its place, the end of the file, from its token on, and its
// data may reach the chunk at any time after that. A write that makes the file longer knows of no token: it
// may have written to the same place, before the append's data or after it.
//
//   append        PrepareWrite: token, offset = size ......... data ......... CommitWrite, the token ends
//   longer write       data ...... CommitWrite: waits for the token's end; then its data is written again
//   late write         data ....................................................... CommitWrite: the same
//
// A late write is told by the size that its client knew of before it sent the data: what was appended behind
// that may lie over it. So what is there in the end is the append's data with the write's over it. Where the
// append was cut short (by its program's end, by others who would not wait any longer, by a restart of ours)
// its data may come later still: the chunks' versions are raised first.
#pragma once

#include "common/limits.h"
#include "metaserver/ops/chunk_ops.h"

namespace kfs::meta {

// One write, in pieces or whole.
constexpr uint64_t kWriteMax = 16 * kIoSizeMax;

// False: it is nobody's turn. True: the op has been parked until the present one's is over. EAGAIN: too many
// wait.
Result<bool> WaitForAppend(OpEnv& env, Ino ino);
// Sees to it that nothing of an append that was cut short, or granted before a restart, reaches the chunks
// any more. True: versions have been raised for that, and the op is to be run again.
bool MakeAppendSafe(OpEnv& env, const rec::Inode& inode);
// Whether a write whose data is there may count; else it has been parked, is run again, or is refused with
// ESTALE/kStaleChunk, to be written again.
Result<bool> MayCountBesideAppends(OpEnv& env, const rec::Inode& inode, const pb::CommitWriteRequest& write);

}  // namespace kfs::meta

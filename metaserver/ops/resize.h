// Changes of a file's size. Other than its length nothing is allowed to last: however many chunks lie behind
// the old or the new end, each turn of the loop sees to some of them.
//
// A file is cut at once. Chunks behind its end that are more than a step stay for a while, noted as a Trim,
// durably, and are freed in the volume's own steps. Nobody reads them; who would make the file longer over
// them has them freed first.
//
// A file grows once what lies behind its end (what a writer left there without committing it, space reserved
// with FALLOC_FL_KEEP_SIZE) reads as zeros.
#pragma once

#include "metaserver/ops/chunk_ops.h"

namespace kfs::meta {

// False: what is left behind the file's end is being freed; the op has been parked, and is run again.
bool SettleTrim(OpEnv& env, Ino ino);
// Whether SetSize may make the file as long as `size`. False, as above: what lies in the gap is being zeroed.
// At once for what is no longer. REQUIRES: the txn has changed no chunks yet.
Result<bool> ReadyToGrow(OpEnv& env, Ino ino, uint64_t size);
// Times are the caller's. REQUIRES: ReadyToGrow, in this run of the op.
void SetSize(OpEnv& env, rec::Inode* inode, uint64_t size);

}  // namespace kfs::meta

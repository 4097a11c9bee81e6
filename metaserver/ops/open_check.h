// What Open and Create on an existing file share.
#pragma once

#include "metaserver/ops/common.h"

namespace kfs::meta {

// May the caller open the inode with these flags of open(2)?
Status CheckOpen(OpEnv& env, const rec::Inode& inode, uint32_t flags);
// O_TRUNC. `kill` as for DropPrivilegesUnlessKept, and it may fail like it.
Status ApplyOpen(OpEnv& env, Ino ino, uint32_t flags, bool kill);

}  // namespace kfs::meta

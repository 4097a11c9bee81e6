// setuid, setgid and file capabilities: they do not outlive a change of the file's content or owner, by the
// rules of setattr_should_drop_suidgid and cap_inode_killpriv in the kernel.
#pragma once

#include "metaserver/ops/common.h"

namespace kfs::meta {

// The content changes. `keep_ids`: the caller has CAP_FSETID, so setuid and setgid stay; file capabilities go
// whoever writes. Setgid without group execution goes for a caller outside the group: EACCES/kNeedGroups
// where that is not known yet, and then nothing has been changed.
Status DropPrivileges(OpEnv& env, Ino ino, bool keep_ids);
// The same; `kill`: the caller is known to lack CAP_FSETID, otherwise that is looked up where it matters.
Status DropPrivilegesUnlessKept(OpEnv& env, Ino ino, bool kill);
// Owner or group are about to change (the inode still has the old ones). Not for directories.
Status DropPrivilegesForOwner(OpEnv& env, Ino ino);
// May the caller say that its coming change ends them: who has the file open, may write it, or owns it.
Status PermitKill(const OpEnv& env, const rec::Inode& inode);
// security.capability alone. REQUIRES: has_caps.
void DropCapabilities(OpEnv& env, rec::Inode* inode);

}  // namespace kfs::meta

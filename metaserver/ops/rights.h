// What the caller of an op may do: as the owner or a member of a group, as root, by a capability, or because
// the mount's kernel has checked what only it can know (Context.kernel_checked). Where the answer depends on
// groups or capabilities that were not sent it is EACCES/kNeedGroups, and the mount asks once more with them.
// root (uid 0) passes: what root without capabilities may not, its kernel refuses. Pure, loop's thread.
#pragma once

#include <linux/capability.h>

#include <optional>
#include <string_view>

#include "metaserver/acl/permission.h"
#include "metaserver/executor/op_env.h"

namespace kfs::meta {

// As the caller's user and groups have it, without capabilities or the kernel's word.
Subject SubjectOf(const OpEnv& env);
bool IsRoot(const OpEnv& env);

// Has the capability (CAP_*) over this inode. A capability of a user namespace counts where the namespace
// maps the inode's owner and group.
bool Capable(const OpEnv& env, const rec::Inode& inode, int cap);
// Has the capability in the mount's own user namespace.
bool CapableOfAll(const OpEnv& env, int cap);

// Whether trusted.* attributes are in a list of names: for CAP_SYS_ADMIN in the mount's own user namespace,
// as on a local disk, also where the caller is uid 0. The kernel hides nothing of the list, so its word does
// not count here. Nothing: that depends on capabilities that were not sent.
std::optional<bool> SeesTrusted(const OpEnv& env);

// `err`, unless groups or capabilities that were not sent might grant it.
Status Refused(const OpEnv& env, int err, std::string_view what);

// An error unless the caller may access the inode; mask of R_OK, W_OK, X_OK. Nobody writes an immutable one.
Status Permit(const OpEnv& env, const rec::Inode& inode, uint32_t mask);
// EPERM unless the caller is the owner, or may act as one.
Status PermitOwner(const OpEnv& env, const rec::Inode& inode, std::string_view what = "not the owner");
// May the caller take this entry out of the directory (W and X, the sticky rule, and the flags of both)?
Status PermitDelete(const OpEnv& env, const rec::Inode& dir, const rec::Inode& victim);
// Whether the caller is in the group, or root. May fail with kNeedGroups.
Result<bool> GroupMember(const OpEnv& env, uint32_t gid);
// Whether a setgid bit that the caller sets on `inode` stays, as the inode's group is `gid`. May fail with
// kNeedGroups.
Result<bool> KeepsSetgid(const OpEnv& env, const rec::Inode& inode, uint32_t gid);

}  // namespace kfs::meta

// What the handlers of several ops need: permission, names, times, new inodes.
#pragma once

#include <sys/stat.h>

#include <string_view>

#include "common/inode_flags.h"
#include "metaserver/acl/permission.h"
#include "metaserver/executor/op_env.h"

namespace kfs::meta {

Subject SubjectOf(const OpEnv& env);
bool IsRoot(const OpEnv& env);
bool IsOwner(const OpEnv& env, const rec::Inode& inode);  // or root

// An error unless the caller may access the inode; mask of R_OK, W_OK, X_OK. Nobody writes an immutable one.
Status Permit(const OpEnv& env, const rec::Inode& inode, uint32_t mask);
// Whether the caller is in the group, or root. May fail with kNeedGroups.
Result<bool> GroupMember(const OpEnv& env, uint32_t gid);
// May the caller take this entry out of the directory (W and X, the sticky rule, and the flags of both)?
Status PermitDelete(const OpEnv& env, const rec::Inode& dir, const rec::Inode& victim);

// The inode, or ESTALE.
Result<const rec::Inode*> GetInode(OpEnv& env, uint64_t ino);
// A directory, or ESTALE or ENOTDIR.
Result<const rec::Inode*> GetDir(OpEnv& env, uint64_t ino);

// Names that may be made or removed: not empty, no '/', no NUL, not too long. "." and ".." are the caller's
// business.
Status CheckName(std::string_view name);
bool IsDots(std::string_view name);

inline uint32_t TypeOf(const rec::Inode& inode) { return inode.mode() >> 12; }
void FillAttr(const rec::Inode& inode, pb::Attr* attr);

// Change counter and ctime, which never goes back; TouchContent also mtime.
void Touch(const OpEnv& env, rec::Inode* inode);
void TouchContent(const OpEnv& env, rec::Inode* inode);
// atime by the rules of relatime.
void Accessed(OpEnv& env, const rec::Inode& inode);

// Times that anyone may set; `beyond` as in pb::Attr.
void SetAtime(rec::Inode* inode, int64_t ns, uint64_t beyond = 0);
void SetMtime(rec::Inode* inode, int64_t ns, uint64_t beyond = 0);

inline bool IsImmutable(const rec::Inode& inode) { return (inode.flags() & kFlagImmutable) != 0; }
inline bool IsAppendOnly(const rec::Inode& inode) { return (inode.flags() & kFlagAppendOnly) != 0; }
// EPERM for immutable and append-only inodes, for root too: what neither of them takes (a new name, a
// removal, a new mode, owner or attribute).
Status CheckNotFixed(const rec::Inode& inode);

// A new inode in `dir`: mode after umask or the default ACL, group and setgid as inherited, times. nlink is
// 1, or 2 for a directory. `mode` has its type. Not yet named.
Result<rec::Inode*> NewInode(OpEnv& env, const rec::Inode& dir, uint32_t mode);
// Names it: dentry, cookie, the directory's times and counts. REQUIRES: the name is free.
void AddEntry(OpEnv& env, Ino dir, std::string_view name, const rec::Inode& inode);
void RemoveEntry(OpEnv& env, Ino dir, std::string_view name, const Dentry& dentry);
// One name less, that in `dir`; a nameless inode becomes an orphan or goes. A directory loses all its links.
void Unlinked(OpEnv& env, Ino dir, Ino ino);

}  // namespace kfs::meta

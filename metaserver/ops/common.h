// What the handlers of several ops need: names, flags, times, new inodes (and rights.h).
#pragma once

#include <sys/stat.h>

#include <string_view>

#include "common/inode_flags.h"
#include "metaserver/executor/op_env.h"
#include "metaserver/ops/rights.h"

namespace kfs::meta {

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
// atime by the rule of the caller's mount.
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

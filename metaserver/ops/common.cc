#include "metaserver/ops/common.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.h"
#include "metaserver/ops/chunk_ops.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

Result<const rec::Inode*> GetInode(OpEnv& env, uint64_t ino) {
  const rec::Inode* inode = env.txn.Find(Ino(ino));
  if (inode == nullptr) return Status(ESTALE, fmt::format("inode {} does not exist", ino));
  return inode;
}

Result<const rec::Inode*> GetDir(OpEnv& env, uint64_t ino) {
  Result<const rec::Inode*> inode = GetInode(env, ino);
  if (inode.ok() && !S_ISDIR((*inode)->mode())) return Status(ENOTDIR, "not a directory");
  return inode;
}

Status CheckName(std::string_view name) {
  if (name.empty()) return Status(ENOENT, "empty name");
  if (name.size() > kNameMax) return Status(ENAMETOOLONG, "name longer than 255 bytes");
  for (char c : name) {
    if (c == '/' || c == '\0') return Status(EINVAL, "name with '/' or NUL");
  }
  return {};
}

bool IsDots(std::string_view name) { return name == "." || name == ".."; }

void FillAttr(const rec::Inode& i, pb::Attr* a) {
  a->set_ino(i.ino());
  a->set_mode(i.mode());
  a->set_nlink(i.nlink());
  a->set_uid(i.uid());
  a->set_gid(i.gid());
  a->set_rdev(i.rdev());
  // A directory's size means nothing, but some programs take 0 for "empty".
  a->set_size(S_ISDIR(i.mode()) ? kBlockSize : i.size());
  a->set_allocated(i.allocated());
  a->set_atime(i.atime());
  a->set_mtime(i.mtime());
  a->set_ctime(i.ctime());
  a->set_btime(i.btime());
  a->set_change(i.change());
  a->set_atime_beyond(i.atime_beyond());
  a->set_mtime_beyond(i.mtime_beyond());
  a->set_flags(i.flags());
}

Status CheckNotFixed(const rec::Inode& inode) {
  if (IsImmutable(inode)) return Status(EPERM, "it is immutable (chattr +i)");
  if (IsAppendOnly(inode)) return Status(EPERM, "it is append-only (chattr +a)");
  return {};
}

void SetAtime(rec::Inode* inode, int64_t ns, uint64_t beyond) {
  inode->set_atime(ns);
  inode->set_atime_beyond(ns == INT64_MAX ? beyond : 0);
}

void SetMtime(rec::Inode* inode, int64_t ns, uint64_t beyond) {
  inode->set_mtime(ns);
  inode->set_mtime_beyond(ns == INT64_MAX ? beyond : 0);
}

void Touch(const OpEnv& env, rec::Inode* inode) {
  inode->set_ctime(std::max(inode->ctime(), env.now));
  inode->set_change(inode->change() + 1);
}

void TouchContent(const OpEnv& env, rec::Inode* inode) {
  Touch(env, inode);
  SetMtime(inode, env.now);
}

void Accessed(OpEnv& env, const rec::Inode& inode) {
  constexpr int64_t kDay = 86400ll * 1000000000;
  if (!env.volume.settings.atime || env.volume.settings.read_only || env.session.rights.read_only()) return;
  if ((inode.flags() & kFlagNoAtime) != 0 || env.ctx.atime() == pb::Context::NEVER) return;
  if (env.ctx.atime() != pb::Context::ALWAYS && inode.atime() > inode.mtime() &&
      inode.atime() > inode.ctime() && env.now - inode.atime() < kDay)
    return;
  if (inode.atime() >= env.now) return;
  SetAtime(env.txn.Edit(Ino(inode.ino())), env.now);
}

Result<rec::Inode*> NewInode(OpEnv& env, const rec::Inode& dir, uint32_t mode) {
  if (dir.nlink() == 0) return Status(ENOENT, "the directory has been removed");
  KFS_RETURN_IF_ERROR(env.volume.CheckRoom());
  const bool is_dir = S_ISDIR(mode), is_link = S_ISLNK(mode);
  uint32_t gid = env.ctx.gid();
  if ((dir.mode() & S_ISGID) != 0) {
    gid = dir.gid();
    if (is_dir) {
      mode |= S_ISGID;
    } else if ((mode & S_ISGID) != 0 && (mode & S_IXGRP) != 0) {
      Result<bool> keeps = KeepsSetgid(env, dir, gid);
      if (!keeps.ok()) return keeps.status();
      if (!*keeps) mode &= ~uint32_t{S_ISGID};
    }
  }
  std::string acl_access, acl_default;
  if (is_link) {
    mode = S_IFLNK | 0777;
  } else if (!dir.acl_default().empty()) {
    Result<Acl> parent = ParseAclXattr(dir.acl_default());
    if (!parent.ok()) return Status(EIO, "damaged default ACL");
    Inherited got = InheritAcl(*parent, mode, is_dir);
    mode = got.mode;
    if (got.access) acl_access = FormatAclXattr(*got.access);
    if (got.default_acl) acl_default = FormatAclXattr(*got.default_acl);
  } else {
    mode &= ~(env.ctx.umask() & 0777);
  }
  Ino ino = env.txn.NewIno();
  rec::Inode* inode = env.txn.Create(ino);
  inode->set_mode(mode);
  inode->set_nlink(is_dir ? 2 : 1);
  inode->set_uid(env.ctx.uid());
  inode->set_gid(gid);
  inode->set_atime(env.now);
  inode->set_mtime(env.now);
  inode->set_ctime(env.now);
  inode->set_btime(env.now);
  inode->set_change(1);
  if (!is_link) inode->set_flags(dir.flags() & kFlagsInherited);
  if (!acl_access.empty()) inode->set_acl_access(acl_access);
  if (!acl_default.empty()) inode->set_acl_default(acl_default);
  inode->set_parent(dir.ino());
  if (is_dir) inode->set_next_cookie(3);  // after "." and ".."
  env.txn.CountInodes(1);
  return inode;
}

void AddEntry(OpEnv& env, Ino dir_ino, std::string_view name, const rec::Inode& inode) {
  rec::Inode* dir = env.txn.Edit(dir_ino);
  env.txn.PutDentry(dir_ino, name, {Ino(inode.ino()), TypeOf(inode), dir->next_cookie()});
  dir->set_next_cookie(dir->next_cookie() + 1);
  dir->set_entries(dir->entries() + 1);
  if (S_ISDIR(inode.mode())) dir->set_nlink(dir->nlink() + 1);
  TouchContent(env, dir);
}

void RemoveEntry(OpEnv& env, Ino dir_ino, std::string_view name, const Dentry& dentry) {
  rec::Inode* dir = env.txn.Edit(dir_ino);
  env.txn.DeleteDentry(dir_ino, name, dentry.cookie);
  dir->set_entries(dir->entries() - 1);
  if (dentry.type == (S_IFDIR >> 12)) dir->set_nlink(dir->nlink() - 1);
  TouchContent(env, dir);
}

void Unlinked(OpEnv& env, Ino dir, Ino ino) {
  rec::Inode* inode = env.txn.Edit(ino);
  Touch(env, inode);
  inode->set_nlink(S_ISDIR(inode->mode()) ? 0 : inode->nlink() - 1);
  if (inode->nlink() > 0) {
    if (Ino(inode->parent()) == dir) inode->set_parent(0);  // where its other names are is not known
    return;
  }
  env.txn.Put(OrphanKey(ino), "");
  Volume* volume = &env.volume;
  env.txn.OnApply([volume, ino] { volume->freeing.Linger(ino); });
}

}  // namespace kfs::meta

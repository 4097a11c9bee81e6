// Link, Unlink, Rmdir.
#include "common/limits.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/common.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

Status Handle(OpEnv& env, const pb::LinkRequest& request, pb::EntryReply* reply) {
  Result<const rec::Inode*> found = GetInode(env, request.ino());
  if (!found.ok()) return found.status();
  Result<const rec::Inode*> dir = GetDir(env, request.parent());
  if (!dir.ok()) return dir.status();
  KFS_RETURN_IF_ERROR(CheckName(request.name()));
  KFS_RETURN_IF_ERROR(Permit(env, **dir, kExec));
  Ino parent(request.parent()), ino(request.ino());
  if (IsDots(request.name()) || env.txn.Lookup(parent, request.name()).ino)
    return Status(EEXIST, "the name exists");
  KFS_RETURN_IF_ERROR(Permit(env, **dir, kWrite));
  KFS_RETURN_IF_ERROR(CheckNotFixed(**found));
  if (S_ISDIR((*found)->mode())) return Status(EPERM, "directories have one name");
  if ((*dir)->nlink() == 0) return Status(ENOENT, "the directory has been removed");
  if ((*found)->nlink() >= kLinkMax) return Status(EMLINK, "too many links");
  KFS_RETURN_IF_ERROR(env.volume.CheckRoom());
  if ((*found)->nlink() == 0) {
    // Only an open O_TMPFILE file gets a (first) name; what was unlinked stays so.
    if (!(*found)->linkable() || !env.session.opens.contains(ino))
      return Status(ENOENT, "the inode has no name left");
    env.txn.Delete(OrphanKey(ino));
  }
  rec::Inode* inode = env.txn.Edit(ino);
  inode->set_nlink(inode->nlink() + 1);
  inode->set_linkable(false);
  if (inode->nlink() == 1 || inode->parent() == 0) inode->set_parent(parent.v);
  Touch(env, inode);
  AddEntry(env, parent, request.name(), *inode);
  FillAttr(*inode, reply->mutable_attr());
  return {};
}

Status Handle(OpEnv& env, const pb::UnlinkRequest& request, pb::UnlinkReply* reply) {
  Result<const rec::Inode*> dir = GetDir(env, request.parent());
  if (!dir.ok()) return dir.status();
  KFS_RETURN_IF_ERROR(CheckName(request.name()));
  if (IsDots(request.name())) return Status(EISDIR, "is a directory");
  KFS_RETURN_IF_ERROR(Permit(env, **dir, kExec));
  Dentry dentry = env.txn.Lookup(Ino(request.parent()), request.name());
  if (!dentry.ino) return Status(ENOENT, "no such entry");
  Result<const rec::Inode*> victim = GetInode(env, dentry.ino.v);
  if (!victim.ok()) return Status(EIO, "the entry has no inode");
  KFS_RETURN_IF_ERROR(PermitDelete(env, **dir, **victim));
  if (S_ISDIR((*victim)->mode())) return Status(EISDIR, "is a directory");
  reply->set_ino(dentry.ino.v);
  reply->set_nlink((*victim)->nlink() - 1);
  RemoveEntry(env, Ino(request.parent()), request.name(), dentry);
  Unlinked(env, Ino(request.parent()), dentry.ino);
  return {};
}

Status Handle(OpEnv& env, const pb::RmdirRequest& request, pb::UnlinkReply* reply) {
  Result<const rec::Inode*> dir = GetDir(env, request.parent());
  if (!dir.ok()) return dir.status();
  KFS_RETURN_IF_ERROR(CheckName(request.name()));
  if (request.name() == ".") return Status(EINVAL, "rmdir of \".\"");
  if (request.name() == "..") return Status(ENOTEMPTY, "rmdir of \"..\"");
  KFS_RETURN_IF_ERROR(Permit(env, **dir, kExec));
  Dentry dentry = env.txn.Lookup(Ino(request.parent()), request.name());
  if (!dentry.ino) return Status(ENOENT, "no such entry");
  Result<const rec::Inode*> victim = GetInode(env, dentry.ino.v);
  if (!victim.ok()) return Status(EIO, "the entry has no inode");
  KFS_RETURN_IF_ERROR(PermitDelete(env, **dir, **victim));
  if (!S_ISDIR((*victim)->mode())) return Status(ENOTDIR, "not a directory");
  if ((*victim)->entries() > 0) return Status(ENOTEMPTY, "the directory is not empty");
  reply->set_ino(dentry.ino.v);
  RemoveEntry(env, Ino(request.parent()), request.name(), dentry);
  Unlinked(env, Ino(request.parent()), dentry.ino);
  return {};
}

}  // namespace kfs::meta

// Lookup, Readlink.
#include "common/limits.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/common.h"

namespace kfs::meta {

namespace {

// A file handle (open_by_handle_at, an NFS server's) names an inode of any type by its number alone, which is
// its permission. One without a name is found while it is open, as on a local disk.
Status LookupSelf(OpEnv& env, const pb::LookupRequest& request, pb::EntryReply* reply) {
  Result<const rec::Inode*> inode = GetInode(env, request.parent());
  if (!inode.ok()) return inode.status();
  if ((*inode)->nlink() == 0 && !env.volume.open_files.IsOpen(Ino(request.parent())) &&
      !env.volume.in_grace()) {
    return Status(ESTALE, "the inode has been removed");
  }
  FillAttr(**inode, reply->mutable_attr());
  return {};
}

}  // namespace

Status Handle(OpEnv& env, const pb::LookupRequest& request, pb::EntryReply* reply) {
  if (request.name() == ".") return LookupSelf(env, request, reply);
  Result<const rec::Inode*> dir = GetDir(env, request.parent());
  if (!dir.ok()) return dir.status();
  KFS_RETURN_IF_ERROR(CheckName(request.name()));
  KFS_RETURN_IF_ERROR(Permit(env, **dir, kExec));
  const rec::Inode* inode = nullptr;
  if (request.name() == "..") {
    const Ino parent = ParentFor(env.volume, env.session, **dir);
    if (parent) inode = env.txn.Find(parent);
  } else {
    Dentry dentry = env.txn.Lookup(Ino(request.parent()), request.name());
    if (dentry.ino) inode = env.txn.Find(dentry.ino);
  }
  if (inode == nullptr) return Status(ENOENT, "no such entry");
  FillAttr(*inode, reply->mutable_attr());
  return {};
}

Status Handle(OpEnv& env, const pb::ReadlinkRequest& request, pb::ReadlinkReply* reply) {
  Result<const rec::Inode*> inode = GetInode(env, request.ino());
  if (!inode.ok()) return inode.status();
  if (!S_ISLNK((*inode)->mode())) return Status(EINVAL, "not a symbolic link");
  reply->set_target((*inode)->target());
  Accessed(env, **inode);
  return {};
}

}  // namespace kfs::meta

// Everything that makes an inode: Mkdir, Mknod, Symlink, Create, Tmpfile.
#include <fcntl.h>

#include "common/limits.h"
#include "metaserver/executor/executor.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/common.h"
#include "metaserver/ops/open_check.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

// A directory in which the caller may make `name`, which is free.
Result<const rec::Inode*> DirForNew(OpEnv& env, uint64_t parent, std::string_view name) {
  Result<const rec::Inode*> dir = GetDir(env, parent);
  if (!dir.ok()) return dir;
  KFS_RETURN_IF_ERROR(CheckName(name));
  KFS_RETURN_IF_ERROR(Permit(env, **dir, kExec));
  if (IsDots(name) || env.txn.Lookup(Ino(parent), name).ino) return Status(EEXIST, "the name exists");
  KFS_RETURN_IF_ERROR(Permit(env, **dir, kWrite));
  return dir;
}

Result<rec::Inode*> MakeNamed(OpEnv& env, uint64_t parent, std::string_view name, uint32_t mode) {
  Result<const rec::Inode*> dir = DirForNew(env, parent, name);
  if (!dir.ok()) return dir.status();
  if (S_ISDIR(mode) && (*dir)->nlink() >= kLinkMax) return Status(EMLINK, "too many subdirectories");
  Result<rec::Inode*> inode = NewInode(env, **dir, mode);
  if (inode.ok()) AddEntry(env, Ino(parent), name, **inode);
  return inode;
}

void HoldOpen(OpEnv& env, Ino ino, uint32_t flags, pb::CreateReply* reply) {
  env.opened = ino;
  env.opened_for = RightsOf(flags);
  Volume* volume = &env.volume;
  Session* session = &env.session;
  env.txn.OnApply(
      [volume, session, ino, rights = env.opened_for] { volume->open_files.Add(*session, ino, rights); });
  if (auto proof = env.executor.ProofOf(*session, ino, env.opened_for))
    *reply->mutable_open() = std::move(*proof);
}

}  // namespace

Status Handle(OpEnv& env, const pb::MkdirRequest& request, pb::EntryReply* reply) {
  uint32_t mode = S_IFDIR | (request.mode() & 01777);  // mkdir does not take setuid and setgid
  Result<rec::Inode*> inode = MakeNamed(env, request.parent(), request.name(), mode);
  if (!inode.ok()) return inode.status();
  FillAttr(**inode, reply->mutable_attr());
  return {};
}

Status Handle(OpEnv& env, const pb::MknodRequest& request, pb::EntryReply* reply) {
  uint32_t mode = request.mode() & (S_IFMT | 07777);
  if ((mode & S_IFMT) == 0) mode |= S_IFREG;
  switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
      break;
    case S_IFCHR:
    case S_IFBLK:
      // 0:0 is an overlay's whiteout, which anyone may make.
      if (!(S_ISCHR(mode) && request.rdev() == 0) && !CapableOfAll(env, CAP_MKNOD))
        return Refused(env, EPERM, "only root makes device nodes");
      break;
    case S_IFDIR:
      return Status(EPERM, "directories are made by mkdir");
    default:
      return Status(EINVAL, "unknown file type");
  }
  Result<rec::Inode*> inode = MakeNamed(env, request.parent(), request.name(), mode);
  if (!inode.ok()) return inode.status();
  if (S_ISCHR(mode) || S_ISBLK(mode)) (*inode)->set_rdev(request.rdev());
  FillAttr(**inode, reply->mutable_attr());
  return {};
}

Status Handle(OpEnv& env, const pb::SymlinkRequest& request, pb::EntryReply* reply) {
  if (request.target().empty()) return Status(ENOENT, "empty target");
  if (request.target().size() > kSymlinkMax) return Status(ENAMETOOLONG, "target too long");
  if (request.target().find('\0') != std::string::npos) return Status(EINVAL, "target with NUL");
  Result<rec::Inode*> inode = MakeNamed(env, request.parent(), request.name(), S_IFLNK | 0777);
  if (!inode.ok()) return inode.status();
  (*inode)->set_target(request.target());
  (*inode)->set_size(request.target().size());
  FillAttr(**inode, reply->mutable_attr());
  return {};
}

Status Handle(OpEnv& env, const pb::CreateRequest& request, pb::CreateReply* reply) {
  Result<const rec::Inode*> dir = GetDir(env, request.parent());
  if (!dir.ok()) return dir.status();
  KFS_RETURN_IF_ERROR(CheckName(request.name()));
  if (IsDots(request.name())) return Status(EISDIR, "is a directory");
  KFS_RETURN_IF_ERROR(Permit(env, **dir, kExec));
  Ino parent(request.parent());
  if (Dentry dentry = env.txn.Lookup(parent, request.name()); dentry.ino) {
    if ((request.flags() & O_EXCL) != 0) return Status(EEXIST, "the name exists");
    Result<const rec::Inode*> inode = GetInode(env, dentry.ino.v);
    if (!inode.ok()) return inode.status();
    if (S_ISDIR((*inode)->mode())) return Status(EISDIR, "is a directory");
    KFS_RETURN_IF_ERROR(CheckOpen(env, **inode, request.flags()));
    KFS_RETURN_IF_ERROR(env.volume.open_files.Room(env.session, dentry.ino));
    KFS_RETURN_IF_ERROR(ApplyOpen(env, dentry.ino, request.flags(), request.kill_priv()));
    HoldOpen(env, dentry.ino, request.flags(), reply);
    FillAttr(*env.txn.Find(dentry.ino), reply->mutable_attr());
    return {};
  }
  KFS_RETURN_IF_ERROR(Permit(env, **dir, kWrite));
  KFS_RETURN_IF_ERROR(env.volume.open_files.Room(env.session, {}));
  // Whoever makes the file may open it as asked, whatever its mode says.
  Result<rec::Inode*> inode = NewInode(env, **dir, S_IFREG | (request.mode() & 07777));
  if (!inode.ok()) return inode.status();
  AddEntry(env, parent, request.name(), **inode);
  HoldOpen(env, Ino((*inode)->ino()), request.flags(), reply);
  reply->set_created(true);
  FillAttr(**inode, reply->mutable_attr());
  return {};
}

Status Handle(OpEnv& env, const pb::TmpfileRequest& request, pb::CreateReply* reply) {
  Result<const rec::Inode*> dir = GetDir(env, request.parent());
  if (!dir.ok()) return dir.status();
  if ((request.flags() & O_ACCMODE) == O_RDONLY) return Status(EINVAL, "O_TMPFILE needs write access");
  KFS_RETURN_IF_ERROR(Permit(env, **dir, kWrite | kExec));
  KFS_RETURN_IF_ERROR(env.volume.open_files.Room(env.session, {}));
  Result<rec::Inode*> inode = NewInode(env, **dir, S_IFREG | (request.mode() & 07777));
  if (!inode.ok()) return inode.status();
  Ino ino((*inode)->ino());
  (*inode)->set_nlink(0);
  (*inode)->set_linkable((request.flags() & O_EXCL) == 0);
  env.txn.Put(OrphanKey(ino), "");
  HoldOpen(env, ino, request.flags(), reply);
  reply->set_created(true);
  FillAttr(**inode, reply->mutable_attr());
  return {};
}

}  // namespace kfs::meta

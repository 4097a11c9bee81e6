// Open, Release.
#include <fcntl.h>

#include "metaserver/executor/executor.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/open_check.h"
#include "metaserver/ops/privileges.h"
#include "metaserver/ops/resize.h"

namespace kfs::meta {
namespace {

constexpr uint32_t kOpenForExec = 040;  // the kernel's __FMODE_EXEC: execve needs X, not R

}  // namespace

Status CheckOpen(OpEnv& env, const rec::Inode& inode, uint32_t flags) {
  const uint32_t access = flags & O_ACCMODE;
  const bool truncate = (flags & O_TRUNC) != 0;
  uint32_t mask = access == O_RDONLY ? kRead : access == O_WRONLY ? kWrite : kRead | kWrite;
  if (S_ISLNK(inode.mode())) return Status(ELOOP, "is a symbolic link");
  if (S_ISDIR(inode.mode())) {
    if (access != O_RDONLY || truncate) return Status(EISDIR, "is a directory");
  } else if ((flags & O_DIRECTORY) != 0) {
    return Status(ENOTDIR, "not a directory");
  }
  if ((flags & kOpenForExec) != 0 && access == O_RDONLY) mask = kExec;
  if (truncate) mask |= kWrite;
  KFS_RETURN_IF_ERROR(Permit(env, inode, mask));
  if (IsAppendOnly(inode) && (truncate || ((mask & kWrite) != 0 && (flags & O_APPEND) == 0)))
    return Status(EPERM, "it is append-only (chattr +a)");
  if ((mask & kWrite) != 0 && S_ISREG(inode.mode()))
    KFS_RETURN_IF_ERROR(CheckWritable(env.volume, env.session));
  if ((flags & O_NOATIME) != 0) KFS_RETURN_IF_ERROR(PermitOwner(env, inode, "O_NOATIME on another's file"));
  return {};
}

Status ApplyOpen(OpEnv& env, Ino ino, uint32_t flags, bool kill) {
  if ((flags & O_TRUNC) == 0 || !S_ISREG(env.txn.Find(ino)->mode())) return {};
  KFS_RETURN_IF_ERROR(DropPrivilegesUnlessKept(env, ino, kill));
  rec::Inode* inode = env.txn.Edit(ino);
  SetSize(env, inode, 0);
  TouchContent(env, inode);
  return {};
}

Status Handle(OpEnv& env, const pb::OpenRequest& request, pb::AttrReply* reply) {
  Result<const rec::Inode*> inode = GetInode(env, request.ino());
  if (!inode.ok()) return inode.status();
  KFS_RETURN_IF_ERROR(CheckOpen(env, **inode, request.flags()));
  Ino ino(request.ino());
  // A nameless inode is somebody's open file, or lost its name while this open was on its way; after its last
  // close it is only waiting to be collected.
  if ((*inode)->nlink() == 0 && !env.volume.open_files.IsOpen(ino) && !env.volume.freeing.Lingers(ino) &&
      !env.volume.in_grace()) {
    return Status(ESTALE, "the inode has been removed");
  }
  KFS_RETURN_IF_ERROR(env.volume.open_files.Room(env.session, ino));
  KFS_RETURN_IF_ERROR(ApplyOpen(env, ino, request.flags(), request.kill_priv()));
  env.opened = ino;
  env.opened_for = RightsOf(request.flags());
  Volume* volume = &env.volume;
  Session* session = &env.session;
  env.txn.OnApply(
      [volume, session, ino, rights = env.opened_for] { volume->open_files.Add(*session, ino, rights); });
  FillAttr(*env.txn.Find(ino), reply->mutable_attr());
  if (auto proof = env.executor.ProofOf(env.session, ino, env.opened_for))
    *reply->mutable_open() = std::move(*proof);
  return {};
}

Status Handle(OpEnv& env, const pb::ReleaseRequest& request, pb::Empty*) {
  Ino ino(request.ino());
  Volume* volume = &env.volume;
  Session* session = &env.session;
  // One that its owner has then was taken later.
  const Lane& lane = session->lane(env.call->lane);
  bool unlock = request.unlock_flock() && request.ctx().op_id() > lane.unlocked_up_to;
  uint64_t owner = request.flock_owner();
  // A client counts a release from its sending on: what was pending when it reclaimed is not in what it
  // reclaimed.
  const bool counted = request.ctx().op_id() > lane.reclaimed_up_to;
  env.txn.OnApply([volume, session, ino, unlock, owner, counted] {
    if (unlock) volume->locks.ReleaseOwner(ino, {session->id, owner}, /*flock=*/true);
    if (counted) volume->open_files.Drop(*session, ino);
  });
  return {};
}

}  // namespace kfs::meta

// Setattr: chmod, chown, truncate, utimens, in one step and by the rules of setattr_prepare(9).
#include <unistd.h>

#include "common/limits.h"
#include "metaserver/ops/chunk_ops.h"
#include "metaserver/ops/common.h"
#include "metaserver/ops/handlers.h"

namespace kfs::meta {
namespace {

using V = pb::SetattrRequest;

// What the kernel checked counts for the owner that it knew of.
bool MayGive(const OpEnv& env, const rec::Inode& inode) {
  if (env.ctx.kernel_checked() && env.ctx.has_seen_owner() && env.ctx.seen_owner() != inode.uid()) return IsRoot(env);
  return Capable(env, inode, CAP_CHOWN);
}

Status CheckOwnerChange(OpEnv& env, const rec::Inode& inode, const pb::SetattrRequest& r) {
  const bool owner = env.ctx.uid() == inode.uid();
  if ((r.valid() & V::UID) != 0 && !(owner && r.uid() == inode.uid()) && !MayGive(env, inode)) {
    return Refused(env, EPERM, "only root gives files away");
  }
  if ((r.valid() & V::GID) == 0) return {};
  if (owner) {
    if (r.gid() == inode.gid()) return {};
    Result<bool> member = GroupMember(env, r.gid());
    if (!member.ok()) return member.status();
    if (*member) return {};
  }
  if (MayGive(env, inode)) return {};
  return Refused(env, EPERM, owner ? "not a member of the new group" : "not the owner");
}

Status CheckTimes(OpEnv& env, const rec::Inode& inode, uint32_t valid) {
  if ((valid & (V::ATIME | V::MTIME | V::ATIME_NOW | V::MTIME_NOW)) == 0) return {};
  const bool touch = (valid & V::ATIME_NOW) != 0 && (valid & V::MTIME_NOW) != 0;
  Status owner = PermitOwner(env, inode);
  // utimes(NULL) needs only write permission
  return !owner.ok() && touch ? Permit(env, inode, kWrite) : owner;
}

Status CheckSize(OpEnv& env, const rec::Inode& inode, const pb::SetattrRequest& r) {
  if ((r.valid() & V::SIZE) == 0) return {};
  if (S_ISDIR(inode.mode())) return Status(EISDIR, "is a directory");
  if (!S_ISREG(inode.mode())) return Status(EINVAL, "not a regular file");
  if (r.size() > kFileSizeMax) return Status(EFBIG, "file too large");
  if (r.size() > env.volume.chunk_size() * UINT32_MAX)
    return Status(EFBIG, "file too large for the volume's chunk size");
  if ((r.valid() & V::OPEN_FILE) != 0) return {};
  return Permit(env, inode, kWrite);
}

Status ChangeMode(OpEnv& env, rec::Inode* inode, uint32_t mode) {
  uint32_t next = (inode->mode() & S_IFMT) | (mode & 07777);
  if ((next & S_ISGID) != 0 && !IsRoot(env)) {
    Result<bool> keeps = KeepsSetgid(env, *inode, inode->gid());
    if (!keeps.ok()) return keeps.status();
    if (!*keeps) next &= ~uint32_t{S_ISGID};
  }
  inode->set_mode(next);
  if (inode->acl_access().empty()) return {};
  Result<Acl> acl = ParseAclXattr(inode->acl_access());
  if (!acl.ok()) return Status(EIO, "damaged ACL");
  inode->set_acl_access(FormatAclXattr(AclWithMode(std::move(*acl), next)));
  return {};
}

}  // namespace

Status Handle(OpEnv& env, const pb::SetattrRequest& r, pb::AttrReply* reply) {
  Result<const rec::Inode*> found = GetInode(env, r.ino());
  if (!found.ok()) return found.status();
  const rec::Inode& old = **found;
  const uint32_t valid = r.valid();
  KFS_RETURN_IF_ERROR(CheckOwnerChange(env, old, r));
  if ((valid & V::MODE) != 0) KFS_RETURN_IF_ERROR(PermitOwner(env, old));
  if ((valid & V::MODE) != 0 && S_ISLNK(old.mode())) return Status(EOPNOTSUPP, "symbolic links have no mode");
  KFS_RETURN_IF_ERROR(CheckTimes(env, old, valid));
  KFS_RETURN_IF_ERROR(CheckSize(env, old, r));

  rec::Inode* inode = env.txn.Edit(Ino(r.ino()));
  if ((valid & V::UID) != 0) inode->set_uid(r.uid());
  if ((valid & V::GID) != 0) inode->set_gid(r.gid());
  // A new owner or group must not inherit the old one's privileges, whoever asks.
  if ((valid & (V::UID | V::GID)) != 0 && !S_ISDIR(inode->mode()) && HasPrivileges(*inode))
    DropPrivileges(env, inode);
  if ((valid & V::MODE) != 0) KFS_RETURN_IF_ERROR(ChangeMode(env, inode, r.mode()));
  if ((valid & V::SIZE) != 0) {
    SetSize(env.volume, env.txn, inode, r.size());
    if (!IsRoot(env) && HasPrivileges(*inode)) DropPrivileges(env, inode);
    inode->set_mtime(env.now);
  }
  if ((valid & V::ATIME_NOW) != 0) {
    inode->set_atime(env.now);
  } else if ((valid & V::ATIME) != 0) {
    inode->set_atime(r.atime());
  }
  if ((valid & V::MTIME_NOW) != 0) {
    inode->set_mtime(env.now);
  } else if ((valid & V::MTIME) != 0) {
    inode->set_mtime(r.mtime());
  }
  Touch(env, inode);
  FillAttr(*inode, reply->mutable_attr());
  return {};
}

}  // namespace kfs::meta

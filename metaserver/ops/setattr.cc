// Setattr: chmod, chown, truncate, utimens, chattr, in one step and by the rules of setattr_prepare(9).
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "common/limits.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/chunk_ops.h"
#include "metaserver/ops/common.h"
#include "metaserver/ops/privileges.h"
#include "metaserver/ops/resize.h"
#include "metaserver/store/features.h"

namespace kfs::meta {
namespace {

using V = pb::SetattrRequest;

// What the kernel checked counts for the owner that it knew of.
bool MayGive(const OpEnv& env, const rec::Inode& inode) {
  if (env.ctx.kernel_checked() && env.ctx.has_seen_owner() && env.ctx.seen_owner() != inode.uid())
    return IsRoot(env);
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

// utimes(NULL), in contrast to times that are named (or one "now" alone).
bool IsTouch(uint32_t valid) { return (valid & V::ATIME_NOW) != 0 && (valid & V::MTIME_NOW) != 0; }

Status CheckTimes(OpEnv& env, const rec::Inode& inode, uint32_t valid) {
  if ((valid & (V::ATIME | V::MTIME | V::ATIME_NOW | V::MTIME_NOW)) == 0) return {};
  if (!IsTouch(valid)) return PermitOwner(env, inode);
  // utimes(NULL) needs only write permission.
  return env.ctx.uid() == inode.uid() || Capable(env, inode, CAP_FOWNER) ? Status()
                                                                         : Permit(env, inode, kWrite);
}

Status CheckSize(OpEnv& env, const rec::Inode& inode, const pb::SetattrRequest& r) {
  if ((r.valid() & V::SIZE) == 0) return {};
  if (S_ISDIR(inode.mode())) return Status(EISDIR, "is a directory");
  if (!S_ISREG(inode.mode())) return Status(EINVAL, "not a regular file");
  if (r.size() > kFileSizeMax) return Status(EFBIG, "file too large");
  if (r.size() > env.volume.chunk_size() * UINT32_MAX)
    return Status(EFBIG, "file too large for the volume's chunk size");
  if ((r.valid() & V::OPEN_FILE) != 0) {
    const auto open = env.session.opens.find(Ino(inode.ino()));
    if (open != env.session.opens.end() && (open->second.rights & kWriteChunk) != 0) return {};
  }
  return Permit(env, inode, kWrite);
}

// What immutable and append-only inodes refuse to root, too.
Status CheckFixed(const rec::Inode& inode, uint32_t valid) {
  if ((valid & ~uint32_t{V::FLAGS | V::OPEN_FILE}) == 0) return {};
  if (IsImmutable(inode)) return Status(EPERM, "it is immutable (chattr +i)");
  if (!IsAppendOnly(inode)) return {};
  const bool times = (valid & (V::ATIME | V::MTIME | V::ATIME_NOW | V::MTIME_NOW)) != 0 && !IsTouch(valid);
  if ((valid & (V::MODE | V::UID | V::GID | V::SIZE)) == 0 && !times) return {};
  return Status(EPERM, "it is append-only (chattr +a)");
}

Status CheckInodeFlags(const OpEnv& env, const rec::Inode& inode, const pb::SetattrRequest& r) {
  if ((r.valid() & V::FLAGS) == 0) return {};
  if (!S_ISREG(inode.mode()) && !S_ISDIR(inode.mode()))
    return Status(EOPNOTSUPP, "only files and directories have flags");
  if ((r.flags() & ~kFlagsKept) != 0) return Status(EOPNOTSUPP, "a flag that is not kept here");
  KFS_RETURN_IF_ERROR(PermitOwner(env, inode));
  if (((r.flags() ^ inode.flags()) & kFlagsOfRoot) != 0 && !CapableOfAll(env, CAP_LINUX_IMMUTABLE))
    return Refused(env, EPERM, "only root changes these flags");
  return {};
}

// Who writes goes by a layout fetched before: it must not reach the data any more. In steps: more than one is
// run again for, and only for this. A chunk whose version is about to rise anyway, and that so far behind, is
// waited for.
Status FenceWriters(OpEnv& env, const rec::Inode& inode) {
  uint64_t& next = env.progress.done_to;  // the index after the one to begin with; 0: not begun
  std::vector<ChunkRow> rows =
      ListChunks(env.txn, inode, next - std::min<uint64_t>(next, 1), UINT32_MAX, kChunksOfStep + 1);
  for (size_t n = 0; n < std::min(rows.size(), kChunksOfStep); ++n) {
    if (env.volume.mutations.Backlog(ChunkId(rows[n].chunk.chunk())) < kBacklogMax) {
      Mutate(env.volume, env.txn, Ino(inode.ino()), &rows[n], {});
      continue;
    }
    next = uint64_t{rows[n].index} + 1;
    return WaitForMutations(env, {rows[n]}, false).status();
  }
  if (rows.size() > kChunksOfStep) {
    next = uint64_t{rows.back().index} + 1;
    AskRerun(env);
  }
  return {};
}

Status ChangeFlags(OpEnv& env, rec::Inode* inode, uint32_t flags) {
  const uint32_t added = flags & ~inode->flags() & kFlagsOfRoot;
  inode->set_flags(flags);
  if (added == 0) return {};
  RequireRoCompat(env.txn, kRoCompatInodeFlags);
  return S_ISREG(inode->mode()) ? FenceWriters(env, *inode) : Status();
}

// False: the op has been parked, and is run again.
Result<bool> ReadyToResize(OpEnv& env, const rec::Inode& inode, uint64_t size) {
  // A loop of truncations does not leave the chunkserver of the last chunk behind without end.
  const uint64_t cut = std::min(size, inode.size()) / env.volume.chunk_size();
  Result<bool> waits = WaitForBacklog(env, ListChunks(env.txn, inode, cut, cut));
  if (!waits.ok()) return waits.status();
  if (*waits) return false;
  return ReadyToGrow(env, Ino(inode.ino()), size);
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
  if (env.progress.done_to != 0) {  // all else has been done
    KFS_RETURN_IF_ERROR(FenceWriters(env, old));
    if (!env.parked) FillAttr(old, reply->mutable_attr());
    return {};
  }
  KFS_RETURN_IF_ERROR(CheckFixed(old, valid));
  KFS_RETURN_IF_ERROR(CheckOwnerChange(env, old, r));
  if ((valid & V::MODE) != 0) KFS_RETURN_IF_ERROR(PermitOwner(env, old));
  if ((valid & V::MODE) != 0 && S_ISLNK(old.mode())) return Status(EOPNOTSUPP, "symbolic links have no mode");
  KFS_RETURN_IF_ERROR(CheckTimes(env, old, valid));
  KFS_RETURN_IF_ERROR(CheckSize(env, old, r));
  KFS_RETURN_IF_ERROR(CheckInodeFlags(env, old, r));
  Ino ino(r.ino());
  if ((valid & V::SIZE) != 0) {
    KFS_RETURN_IF_ERROR(CheckWritable(env.volume, env.session));
    Result<bool> ready = ReadyToResize(env, old, r.size());
    if (!ready.ok()) return ready.status();
    if (!*ready) return {};
  }
  // A new owner or group must not inherit the old one's privileges, whoever asks.
  if ((valid & (V::UID | V::GID)) != 0 && !S_ISDIR(old.mode()))
    KFS_RETURN_IF_ERROR(DropPrivilegesForOwner(env, ino));
  const bool kill = (valid & V::KILL_PRIV) != 0;
  if ((valid & V::SIZE) != 0) KFS_RETURN_IF_ERROR(DropPrivilegesUnlessKept(env, ino, kill));
  if (valid == V::KILL_PRIV) {
    const Status may = PermitKill(env, old);
    if (may.code() == Code::kNeedGroups) return may;
    // A stranger's chown that changes nothing says the same: it has no effect, and succeeds.
    if (!may.ok()) {
      FillAttr(old, reply->mutable_attr());
      return {};
    }
    KFS_RETURN_IF_ERROR(DropPrivileges(env, ino, /*keep_ids=*/false));
  }

  rec::Inode* inode = env.txn.Edit(ino);
  if ((valid & V::UID) != 0) inode->set_uid(r.uid());
  if ((valid & V::GID) != 0) inode->set_gid(r.gid());
  if ((valid & V::MODE) != 0) KFS_RETURN_IF_ERROR(ChangeMode(env, inode, r.mode()));
  if ((valid & V::SIZE) != 0) {
    SetSize(env, inode, r.size());
    SetMtime(inode, env.now);
  }
  if ((valid & V::ATIME_NOW) != 0) {
    SetAtime(inode, env.now);
  } else if ((valid & V::ATIME) != 0) {
    SetAtime(inode, r.atime(), r.atime_beyond());
  }
  if ((valid & V::MTIME_NOW) != 0) {
    SetMtime(inode, env.now);
  } else if ((valid & V::MTIME) != 0) {
    SetMtime(inode, r.mtime(), r.mtime_beyond());
  }
  if ((valid & V::FLAGS) != 0) KFS_RETURN_IF_ERROR(ChangeFlags(env, inode, r.flags()));
  Touch(env, inode);
  if (env.parked) return {};
  FillAttr(*inode, reply->mutable_attr());
  return {};
}

}  // namespace kfs::meta

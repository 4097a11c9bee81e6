#include "metaserver/ops/rights.h"

#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "metaserver/ops/common.h"

namespace kfs::meta {
namespace {

using Ranges = google::protobuf::RepeatedField<uint32_t>;

bool InRanges(const Ranges& pairs, uint32_t id) {
  for (int i = 0; i + 1 < pairs.size(); i += 2) {
    if (id >= pairs[i] && id - pairs[i] < pairs[i + 1]) return true;
  }
  return false;
}

bool HasBit(const OpEnv& env, int cap) { return env.ctx.groups_known() && (env.ctx.caps() >> cap & 1) != 0; }

bool OfNamespace(const OpEnv& env) { return !env.ctx.caps_uids().empty() || !env.ctx.caps_gids().empty(); }

// The kernel's generic_permission: what the two capabilities over data grant.
bool CapabilityPermits(const OpEnv& env, const rec::Inode& inode, uint32_t mask) {
  const bool dir = S_ISDIR(inode.mode());
  if ((dir ? (mask & kWrite) == 0 : (mask & kRwx) == kRead) && Capable(env, inode, CAP_DAC_READ_SEARCH))
    return true;
  if (!dir && (mask & kExec) != 0 && (inode.mode() & 0111) == 0) return false;
  return Capable(env, inode, CAP_DAC_OVERRIDE);
}

Status PermitBySubject(const OpEnv& env, const rec::Inode& inode, uint32_t mask) {
  const Subject who = SubjectOf(env);
  Object what{inode.mode(), inode.uid(), inode.gid(), nullptr};
  if (inode.acl_access().empty() || IsRoot(env))
    return ToStatus(CheckAccess(who, what, mask), EACCES, "permission");
  Result<Acl> acl = ParseAclXattr(inode.acl_access());
  if (!acl.ok()) return Status(EIO, "damaged ACL");
  what.acl = &*acl;
  return ToStatus(CheckAccess(who, what, mask), EACCES, "permission");
}

}  // namespace

Subject SubjectOf(const OpEnv& env) {
  return {env.ctx.uid(), env.ctx.gid(), &env.ctx.groups(), env.ctx.groups_known()};
}

bool IsRoot(const OpEnv& env) { return env.ctx.uid() == 0; }

bool Capable(const OpEnv& env, const rec::Inode& inode, int cap) {
  if (IsRoot(env) || env.ctx.kernel_checked()) return true;
  if (!HasBit(env, cap)) return false;
  return !OfNamespace(env) ||
         (InRanges(env.ctx.caps_uids(), inode.uid()) && InRanges(env.ctx.caps_gids(), inode.gid()));
}

bool CapableOfAll(const OpEnv& env, int cap) {
  if (IsRoot(env) || env.ctx.kernel_checked()) return true;
  return HasBit(env, cap) && !OfNamespace(env);
}

std::optional<bool> SeesTrusted(const OpEnv& env) {
  // Of a program that uses the library nothing more is known than that it is root.
  if (env.ctx.kernel_checked() || env.ctx.pid() == 0)
    return IsRoot(env) || (!env.ctx.kernel_checked() && HasBit(env, CAP_SYS_ADMIN) && !OfNamespace(env));
  if (!env.ctx.groups_known()) return std::nullopt;
  return HasBit(env, CAP_SYS_ADMIN) && !OfNamespace(env);
}

Status Refused(const OpEnv& env, int err, std::string_view what) {
  if (!IsRoot(env) && !env.ctx.groups_known() && !env.ctx.kernel_checked()) {
    return Status(EACCES, Code::kNeedGroups,
                  std::string(what) + ": unless the caller's groups or capabilities grant it");
  }
  return Status(err, std::string(what));
}

Status Permit(const OpEnv& env, const rec::Inode& inode, uint32_t mask) {
  if ((mask & kWrite) != 0 && IsImmutable(inode)) return Status(EPERM, "it is immutable (chattr +i)");
  if (env.ctx.kernel_checked() && !IsRoot(env)) return {};
  Status status = PermitBySubject(env, inode, mask);
  if (status.ok() || status.code() == Code::kNeedGroups || status.err() != EACCES || IsRoot(env))
    return status;
  if (CapabilityPermits(env, inode, mask)) return {};
  return Refused(env, EACCES, "permission");
}

Status PermitOwner(const OpEnv& env, const rec::Inode& inode, std::string_view what) {
  if (env.ctx.uid() == inode.uid() || IsRoot(env)) return {};
  // What the kernel checked was the owner that it knew of.
  const bool stale =
      env.ctx.kernel_checked() && env.ctx.has_seen_owner() && env.ctx.seen_owner() != inode.uid();
  if (!stale && Capable(env, inode, CAP_FOWNER)) return {};
  return Refused(env, EPERM, what);
}

Status PermitDelete(const OpEnv& env, const rec::Inode& dir, const rec::Inode& victim) {
  KFS_RETURN_IF_ERROR(Permit(env, dir, kWrite | kExec));
  if (IsAppendOnly(dir)) return Status(EPERM, "the directory is append-only (chattr +a)");
  KFS_RETURN_IF_ERROR(CheckNotFixed(victim));
  if ((dir.mode() & S_ISVTX) == 0 || env.ctx.uid() == victim.uid() || env.ctx.uid() == dir.uid() ||
      Capable(env, victim, CAP_FOWNER))
    return {};
  return Refused(env, EPERM, "the directory is sticky and the entry another's");
}

Result<bool> GroupMember(const OpEnv& env, uint32_t gid) {
  if (IsRoot(env) || env.ctx.kernel_checked()) return true;
  switch (InGroup(SubjectOf(env), gid)) {
    case Access::kYes:
      return true;
    case Access::kNo:
      return false;
    case Access::kNeedGroups:
      break;
  }
  return Status(EACCES, Code::kNeedGroups, "depends on supplementary groups");
}

Result<bool> KeepsSetgid(const OpEnv& env, const rec::Inode& inode, uint32_t gid) {
  Result<bool> member = GroupMember(env, gid);
  if (!member.ok() || *member) return member;
  return Capable(env, inode, CAP_FSETID);
}

}  // namespace kfs::meta

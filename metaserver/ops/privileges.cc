#include "metaserver/ops/privileges.h"

#include <functional>

#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

// The bits of `mode` that go. `is_member`: whether the caller is in the file's group, looked up only where it
// counts.
Result<uint32_t> IdsToDrop(const rec::Inode& inode, const std::function<Result<bool>()>& is_member) {
  uint32_t drop = inode.mode() & S_ISUID;
  if ((inode.mode() & S_ISGID) == 0) return drop;
  if ((inode.mode() & S_IXGRP) != 0) return drop | S_ISGID;
  // Without group execution setgid once meant mandatory locking: a member's change leaves it.
  Result<bool> member = is_member();
  if (!member.ok()) return member.status();
  return *member ? drop : drop | S_ISGID;
}

void Drop(OpEnv& env, Ino ino, uint32_t bits) {
  const rec::Inode* found = env.txn.Find(ino);
  if (bits == 0 && !found->has_caps()) return;
  rec::Inode* inode = env.txn.Edit(ino);
  inode->set_mode(inode->mode() & ~bits);
  if (inode->has_caps()) DropCapabilities(env, inode);
}

}  // namespace

Status DropPrivileges(OpEnv& env, Ino ino, bool keep_ids) {
  const rec::Inode& inode = *env.txn.Find(ino);
  if (!S_ISREG(inode.mode())) return {};
  uint32_t bits = 0;
  if (!keep_ids) {
    // Root is in no group as such: here it is a caller whose CAP_FSETID has been taken away.
    Result<uint32_t> drop = IdsToDrop(inode, [&]() -> Result<bool> {
      const Access in = InGroup(SubjectOf(env), inode.gid());
      if (in != Access::kNeedGroups) return in == Access::kYes;
      return Status(EACCES, Code::kNeedGroups, "setgid depends on supplementary groups");
    });
    if (!drop.ok()) return drop.status();
    bits = *drop;
  }
  Drop(env, ino, bits);
  return {};
}

Status DropPrivilegesUnlessKept(OpEnv& env, Ino ino, bool kill) {
  const rec::Inode& inode = *env.txn.Find(ino);
  if (kill || (inode.mode() & (S_ISUID | S_ISGID)) == 0) return DropPrivileges(env, ino, !kill);
  const bool keeps = Capable(env, inode, CAP_FSETID);
  if (!keeps && !env.ctx.groups_known()) return Refused(env, EACCES, "setuid and setgid");
  return DropPrivileges(env, ino, keeps);
}

Status DropPrivilegesForOwner(OpEnv& env, Ino ino) {
  const rec::Inode& inode = *env.txn.Find(ino);
  // In the kernel's word there is nothing of this.
  Result<uint32_t> drop = IdsToDrop(inode, [&]() -> Result<bool> {
    if (env.ctx.kernel_checked() && !IsRoot(env)) return false;
    return GroupMember(env, inode.gid());
  });
  if (!drop.ok()) return drop.status();
  Drop(env, ino, *drop);
  return {};
}

Status PermitKill(const OpEnv& env, const rec::Inode& inode) {
  if (IsImmutable(inode)) return Status(EPERM, "it is immutable (chattr +i)");
  // Whoever has it open for writing was allowed to then; the session alone knows how it is open.
  if (IsRoot(env) || env.ctx.uid() == inode.uid() || env.session.opens.contains(Ino(inode.ino()))) return {};
  // The kernel asks before it has checked anything.
  if (env.ctx.kernel_checked()) return Status(EACCES, "not the owner");
  return Permit(env, inode, kWrite);
}

void DropCapabilities(OpEnv& env, rec::Inode* inode) {
  constexpr std::string_view kCaps = "security.capability";
  env.txn.Delete(XattrKey(Ino(inode->ino()), kCaps));
  inode->set_has_caps(false);
  inode->set_xattr_count(inode->xattr_count() - 1);
  inode->set_xattr_name_bytes(inode->xattr_name_bytes() - static_cast<uint32_t>(kCaps.size() + 1));
}

}  // namespace kfs::meta

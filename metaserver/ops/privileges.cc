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

Status DropPrivilegesForOwner(OpEnv& env, Ino ino) {
  const rec::Inode& inode = *env.txn.Find(ino);
  Result<uint32_t> drop = IdsToDrop(inode, [&] { return GroupMember(env, inode.gid()); });
  if (!drop.ok()) return drop.status();
  Drop(env, ino, *drop);
  return {};
}

Status PermitKill(const OpEnv& env, const rec::Inode& inode) {
  if (IsImmutable(inode)) return Status(EPERM, "it is immutable (chattr +i)");
  // Whoever has it open for writing was allowed to then; the session alone knows how it is open.
  if (IsOwner(env, inode) || env.session.opens.contains(Ino(inode.ino()))) return {};
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

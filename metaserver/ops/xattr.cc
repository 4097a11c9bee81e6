// Getxattr, Setxattr, Listxattr, Removexattr. ACLs live in the inode, all others in records of their own.
#include <algorithm>

#include "common/limits.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/common.h"
#include "metaserver/ops/privileges.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

constexpr std::string_view kAclAccess = "system.posix_acl_access";
constexpr std::string_view kAclDefault = "system.posix_acl_default";
constexpr std::string_view kCapability = "security.capability";
constexpr uint32_t kCreate = 1, kReplace = 2;

bool IsAcl(std::string_view name) { return name == kAclAccess || name == kAclDefault; }

// Which names there are, and who may touch them (xattr_permission in the kernel).
Status PermitXattr(OpEnv& env, const rec::Inode& inode, std::string_view name, bool write) {
  if (name.empty()) return Status(EINVAL, "empty attribute name");
  if (name.size() > kXattrNameMax) return Status(ERANGE, "attribute name longer than 255 bytes");
  if (name.find('\0') != std::string_view::npos) return Status(EINVAL, "attribute name with NUL");
  if (write) KFS_RETURN_IF_ERROR(CheckNotFixed(inode));
  if (IsAcl(name)) {
    if (S_ISLNK(inode.mode())) return Status(EOPNOTSUPP, "symbolic links have no ACL");
    return write ? PermitOwner(env, inode) : Status();
  }
  if (name == "user." || name == "trusted." || name == "security.")
    return Status(EINVAL, "an attribute name without anything behind its namespace");
  if (name.starts_with("user.")) {
    if (!S_ISREG(inode.mode()) && !S_ISDIR(inode.mode())) {
      return write ? Status(EPERM, "user attributes belong to files and directories")
                   : Status(ENODATA, "no such attribute");
    }
    if (write && S_ISDIR(inode.mode()) && (inode.mode() & S_ISVTX) != 0) {
      KFS_RETURN_IF_ERROR(PermitOwner(env, inode, "the directory is sticky and another's"));
    }
    return Permit(env, inode, write ? kWrite : kRead);
  }
  if (name.starts_with("trusted.")) {
    if (CapableOfAll(env, CAP_SYS_ADMIN)) return {};
    return write ? Refused(env, EPERM, "trusted attributes are root's")
                 : Refused(env, ENODATA, "no such attribute");
  }
  if (name.starts_with("security.")) {
    if (!write || (name == kCapability && Capable(env, inode, CAP_SETFCAP)) ||
        (name != kCapability && CapableOfAll(env, CAP_SYS_ADMIN)))
      return {};
    return Refused(env, EPERM, "security attributes are root's");
  }
  return Status(EOPNOTSUPP, "unknown attribute namespace");
}

Status SetAcl(OpEnv& env, rec::Inode* inode, std::string_view name, std::string_view value) {
  Acl acl;
  if (!value.empty()) {
    Result<Acl> parsed = ParseAclXattr(value);
    if (!parsed.ok()) return parsed.status();
    acl = std::move(*parsed);
  }
  if (name == kAclDefault) {
    if (!S_ISDIR(inode->mode()))
      return acl.empty() ? Status() : Status(EACCES, "only directories have a default ACL");
    inode->set_acl_default(acl.empty() ? "" : FormatAclXattr(acl));
    return {};
  }
  if (acl.empty()) {
    inode->clear_acl_access();
    return {};
  }
  uint32_t mode = AclToMode(acl, inode->mode());
  if ((mode & S_ISGID) != 0 && !IsRoot(env)) {
    Result<bool> keeps = KeepsSetgid(env, *inode, inode->gid());
    if (!keeps.ok()) return keeps.status();
    // For an ACL the kernel leaves this to us, and says nothing of it.
    if (!*keeps || env.ctx.kernel_checked()) mode &= ~uint32_t{S_ISGID};
  }
  inode->set_mode(mode);
  // A list that says no more than the mode is the mode.
  inode->set_acl_access(EquivalentMode(acl) ? "" : FormatAclXattr(acl));
  return {};
}

const std::string& AclOf(const rec::Inode& inode, std::string_view name) {
  return name == kAclAccess ? inode.acl_access() : inode.acl_default();
}

Status CheckFlags(uint32_t flags, bool exists) {
  if ((flags & ~(kCreate | kReplace)) != 0) return Status(EINVAL, "unknown flags");
  if ((flags & kCreate) != 0 && exists) return Status(EEXIST, "the attribute exists");
  if ((flags & kReplace) != 0 && !exists) return Status(ENODATA, "no such attribute");
  return {};
}

// Values of before they were counted are not there to be taken away.
void CountValue(rec::Inode* inode, uint64_t before, uint64_t after) {
  const uint64_t counted = inode->xattr_value_bytes();
  inode->set_xattr_value_bytes(counted - std::min(counted, before) + after);
}

}  // namespace

Status Handle(OpEnv& env, const pb::GetxattrRequest& request, pb::GetxattrReply* reply) {
  Result<const rec::Inode*> inode = GetInode(env, request.ino());
  if (!inode.ok()) return inode.status();
  KFS_RETURN_IF_ERROR(PermitXattr(env, **inode, request.name(), /*write=*/false));
  if (IsAcl(request.name())) {
    const std::string& acl = AclOf(**inode, request.name());
    if (acl.empty()) return Status(ENODATA, "no such attribute");
    reply->set_value(acl);
    return {};
  }
  if ((*inode)->xattr_count() == 0) return Status(ENODATA, "no such attribute");
  std::optional<std::string> value = env.txn.Get(XattrKey(Ino(request.ino()), request.name()));
  if (!value) return Status(ENODATA, "no such attribute");
  reply->set_value(std::move(*value));
  return {};
}

Status Handle(OpEnv& env, const pb::SetxattrRequest& request, pb::Empty*) {
  Result<const rec::Inode*> found = GetInode(env, request.ino());
  if (!found.ok()) return found.status();
  const std::string& name = request.name();
  KFS_RETURN_IF_ERROR(PermitXattr(env, **found, name, /*write=*/true));
  if (request.value().size() > kXattrSizeMax) return Status(E2BIG, "value larger than 64 KiB");
  Ino ino(request.ino());
  if (IsAcl(name)) {
    const bool exists = !AclOf(**found, name).empty();
    KFS_RETURN_IF_ERROR(CheckFlags(request.flags(), exists));
    if (!exists) KFS_RETURN_IF_ERROR(env.volume.CheckRoom());
    rec::Inode* inode = env.txn.Edit(ino);
    KFS_RETURN_IF_ERROR(SetAcl(env, inode, name, request.value()));
    Touch(env, inode);
    return {};
  }
  Key key = XattrKey(ino, name);
  std::optional<std::string> before;
  if ((*found)->xattr_count() > 0) before = env.txn.Get(key);
  const bool exists = before.has_value();
  KFS_RETURN_IF_ERROR(CheckFlags(request.flags(), exists));
  if (!exists) KFS_RETURN_IF_ERROR(env.volume.CheckRoom());
  rec::Inode* inode = env.txn.Edit(ino);
  CountValue(inode, exists ? before->size() : 0, request.value().size());
  if (inode->xattr_value_bytes() > kXattrValuesMax && (!exists || request.value().size() > before->size()))
    return Status(ENOSPC, "the attributes' values are too large together");
  if (!exists) {
    if (inode->xattr_name_bytes() + name.size() + 1 > kXattrListMax)
      return Status(ENOSPC, "too many attributes");
    inode->set_xattr_count(inode->xattr_count() + 1);
    inode->set_xattr_name_bytes(inode->xattr_name_bytes() + static_cast<uint32_t>(name.size() + 1));
  }
  if (name == kCapability) inode->set_has_caps(true);
  env.txn.Put(key, request.value());
  Touch(env, inode);
  return {};
}

Status Handle(OpEnv& env, const pb::ListxattrRequest& request, pb::ListxattrReply* reply) {
  Result<const rec::Inode*> found = GetInode(env, request.ino());
  if (!found.ok()) return found.status();
  if (!(*found)->acl_access().empty()) reply->add_name(std::string(kAclAccess));
  if (!(*found)->acl_default().empty()) reply->add_name(std::string(kAclDefault));
  if ((*found)->xattr_count() == 0) return {};
  Ino ino(request.ino());
  const std::optional<bool> all = SeesTrusted(env);
  bool hidden = false;
  env.volume.store.Scan(XattrPrefix(ino), "", [&](std::string_view key, std::string_view) {
    std::string_view name = key.substr(9);
    const bool shown = all.value_or(false) || !name.starts_with("trusted.");
    if (shown) reply->add_name(std::string(name));
    hidden |= !shown;
    return true;
  });
  if (hidden && !all) return Status(EACCES, Code::kNeedGroups, "trusted attributes depend on capabilities");
  return {};
}

Status Handle(OpEnv& env, const pb::RemovexattrRequest& request, pb::Empty*) {
  Result<const rec::Inode*> found = GetInode(env, request.ino());
  if (!found.ok()) return found.status();
  const std::string& name = request.name();
  if (request.kill_priv() && name == kCapability) {
    KFS_RETURN_IF_ERROR(PermitKill(env, **found));
    if (!(*found)->has_caps()) return {};
    rec::Inode* inode = env.txn.Edit(Ino(request.ino()));
    DropCapabilities(env, inode);
    Touch(env, inode);
    return {};
  }
  KFS_RETURN_IF_ERROR(PermitXattr(env, **found, name, /*write=*/true));
  Ino ino(request.ino());
  if (IsAcl(name)) {
    if (AclOf(**found, name).empty()) return {};  // no list is what was asked for
    rec::Inode* inode = env.txn.Edit(ino);
    KFS_RETURN_IF_ERROR(SetAcl(env, inode, name, ""));
    Touch(env, inode);
    return {};
  }
  Key key = XattrKey(ino, name);
  std::optional<std::string> value;
  if ((*found)->xattr_count() > 0) value = env.txn.Get(key);
  if (!value) return Status(ENODATA, "no such attribute");
  rec::Inode* inode = env.txn.Edit(ino);
  CountValue(inode, value->size(), 0);
  inode->set_xattr_count(inode->xattr_count() - 1);
  inode->set_xattr_name_bytes(inode->xattr_name_bytes() - static_cast<uint32_t>(name.size() + 1));
  if (name == kCapability) inode->set_has_caps(false);
  env.txn.Delete(key);
  Touch(env, inode);
  return {};
}

}  // namespace kfs::meta

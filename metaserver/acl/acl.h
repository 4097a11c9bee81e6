// POSIX access control lists: their xattr form, their relation to the nine mode bits, and inheritance.
// Pure functions, any thread. Malformed lists are EINVAL, as the kernel answers setxattr with one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace kfs::meta {

// Tags and the undefined id as in <linux/posix_acl_xattr.h>.
constexpr uint16_t kAclUserObj = 0x01;
constexpr uint16_t kAclUser = 0x02;
constexpr uint16_t kAclGroupObj = 0x04;
constexpr uint16_t kAclGroup = 0x08;
constexpr uint16_t kAclMask = 0x10;
constexpr uint16_t kAclOther = 0x20;
constexpr uint32_t kAclNoId = 0xffffffff;

// Permissions of an entry, or of one class of a mode.
constexpr uint32_t kRead = 4, kWrite = 2, kExec = 1, kRwx = 7;

struct AclEntry {
  uint16_t tag = 0;
  uint16_t perm = 0;       // rwx bits, 0 to 7
  uint32_t id = kAclNoId;  // of kAclUser and kAclGroup entries
  bool operator==(const AclEntry&) const = default;
};
// In order: owner, users, owning group, groups, mask, other. An empty list means "no ACL".
using Acl = std::vector<AclEntry>;

// The value of system.posix_acl_access or system.posix_acl_default. A value with the header alone gives an
// empty list (removes the ACL). EINVAL when malformed or not valid, EOPNOTSUPP when its version is not 2.
Result<Acl> ParseAclXattr(std::string_view value);
std::string FormatAclXattr(const Acl& acl);

// Exactly one owner, owning group and other entry, a mask where named entries are, in that order; else
// EINVAL.
Status ValidateAcl(const Acl& acl);

// The nine permission bits when the list says no more than a mode does (no named entries, no mask).
std::optional<uint32_t> EquivalentMode(const Acl& acl);

// `mode` with its permission bits taken from the list: the group bits show the mask where there is one.
uint32_t AclToMode(const Acl& acl, uint32_t mode);

// chmod of a file with an ACL: sets the owner, mask (or group) and other entries.
Acl AclWithMode(Acl acl, uint32_t mode);

// What a new inode gets from its parent's default ACL.
struct Inherited {
  uint32_t mode = 0;               // the umask does not apply
  std::optional<Acl> access;       // none: the mode says it all
  std::optional<Acl> default_acl;  // directories pass the parent's on
};
// REQUIRES: parent_default is valid and not empty.
Inherited InheritAcl(const Acl& parent_default, uint32_t mode, bool is_dir);

}  // namespace kfs::meta

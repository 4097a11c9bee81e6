// Who may do what to an inode: the kernel's generic_permission and posix_acl_permission, decided by the
// metaserver. Supplementary groups are sent only on demand, so an answer may be "ask again with them". Pure
// functions, any thread.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <cstdint>
#include <string_view>

#include "common/status.h"
#include "metaserver/acl/acl.h"

namespace kfs::meta {

// The caller. uid 0 is privileged.
struct Subject {
  uint32_t uid = 0;
  uint32_t gid = 0;
  const google::protobuf::RepeatedField<uint32_t>* groups = nullptr;  // null: none
  bool groups_known = false;                                          // false: `groups` may lack some
};

// The inode. `acl` null: the mode says it all.
struct Object {
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  const Acl* acl = nullptr;
};

enum class Access {
  kYes,
  kNo,
  kNeedGroups,  // depends on supplementary groups that were not sent
};

// `mask` of R_OK, W_OK, X_OK (4, 2, 1); 0 is always allowed. root passes everything, but X on a file that is
// not a directory needs an x bit for somebody.
Access CheckAccess(const Subject& who, const Object& what, uint32_t mask);

// Whether the caller is a member of `gid` (kYes also for its own gid; says nothing of root's privileges).
Access InGroup(const Subject& who, uint32_t gid);

// kYes: OK. kNo: `err` (EACCES or EPERM). kNeedGroups: EACCES/kNeedGroups. `what` begins the message.
Status ToStatus(Access access, int err, std::string_view what);

// Removing or renaming away an entry of `dir` whose inode belongs to `victim_uid`: W and X on the directory,
// and in a sticky directory the caller owns the directory or the victim.
Access MayDelete(const Subject& who, const Object& dir, uint32_t victim_uid);
// The same, told apart: EACCES without the directory's permission, EPERM by the sticky rule.
Status MayDeleteStatus(const Subject& who, const Object& dir, uint32_t victim_uid, std::string_view what);

}  // namespace kfs::meta

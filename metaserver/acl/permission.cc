#include "metaserver/acl/permission.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace kfs::meta {
namespace {

bool Allows(uint32_t perm, uint32_t want) { return (perm & want) == want; }
Access YesIf(bool yes) { return yes ? Access::kYes : Access::kNo; }

// Answers that are possible as far as the caller's groups are known; one answer is a certain one.
class Possible {
 public:
  void Add(bool yes) { (yes ? yes_ : no_) = true; }
  Access Get() const { return yes_ && no_ ? Access::kNeedGroups : YesIf(yes_); }

 private:
  bool yes_ = false, no_ = false;
};

Access ByGroupOrOther(const Subject& who, const Object& what, uint32_t want) {
  const bool group = Allows(what.mode >> 3, want), other = Allows(what.mode, want);
  if (group == other) return YesIf(group);
  switch (InGroup(who, what.gid)) {
    case Access::kYes:
      return YesIf(group);
    case Access::kNo:
      return YesIf(other);
    default:
      return Access::kNeedGroups;
  }
}

// REQUIRES: the caller is not the owner. The first group entry that grants everything decides (under the
// mask); when groups match but none grants, the answer is no; only without a matching group does "other"
// count.
Access ByAcl(const Subject& who, const Object& what, uint32_t want) {
  uint32_t mask = kRwx, other = 0;
  for (const AclEntry& e : *what.acl) {
    if (e.tag == kAclMask) mask = e.perm;
    if (e.tag == kAclOther) other = e.perm;
  }
  bool member = false, maybe_member = false, maybe_granted = false;
  for (const AclEntry& e : *what.acl) {
    if (e.tag == kAclUser && e.id == who.uid) return YesIf(Allows(e.perm & mask, want));
    if (e.tag != kAclGroupObj && e.tag != kAclGroup) continue;
    const Access in = InGroup(who, e.tag == kAclGroupObj ? what.gid : e.id);
    const bool grants = Allows(e.perm, want);
    if (in == Access::kYes && grants) return YesIf(Allows(mask, want));
    if (in == Access::kYes) member = true;
    if (in == Access::kNeedGroups) (grants ? maybe_granted : maybe_member) = true;
  }
  Possible answer;
  if (maybe_granted) answer.Add(Allows(mask, want));
  if (member || maybe_member) answer.Add(false);
  if (!member) answer.Add(Allows(other, want));
  return answer.Get();
}

}  // namespace

Access InGroup(const Subject& who, uint32_t gid) {
  if (who.gid == gid) return Access::kYes;
  if (who.groups != nullptr && std::find(who.groups->begin(), who.groups->end(), gid) != who.groups->end()) {
    return Access::kYes;
  }
  return who.groups_known ? Access::kNo : Access::kNeedGroups;
}

Access CheckAccess(const Subject& who, const Object& what, uint32_t mask) {
  const uint32_t want = mask & kRwx;
  if (want == 0) return Access::kYes;
  if (who.uid == 0) {
    return YesIf((want & kExec) == 0 || S_ISDIR(what.mode) || (what.mode & 0111) != 0);
  }
  if (who.uid == what.uid) return YesIf(Allows(what.mode >> 6, want));
  // With a mask of --- the kernel does not look at the list, and the mode's group and other bits decide.
  if (what.acl != nullptr && !what.acl->empty() && (what.mode & S_IRWXG) != 0) return ByAcl(who, what, want);
  return ByGroupOrOther(who, what, want);
}

Status ToStatus(Access access, int err, std::string_view what) {
  switch (access) {
    case Access::kYes:
      return {};
    case Access::kNo:
      return Status(err, std::string(what));
    case Access::kNeedGroups:
      break;
  }
  return Status(EACCES, Code::kNeedGroups,
                std::string(what) + ": depends on the caller's supplementary groups");
}

namespace {

bool StickyForbids(const Subject& who, const Object& dir, uint32_t victim_uid) {
  return (dir.mode & S_ISVTX) != 0 && who.uid != 0 && who.uid != dir.uid && who.uid != victim_uid;
}

}  // namespace

Access MayDelete(const Subject& who, const Object& dir, uint32_t victim_uid) {
  const Access access = CheckAccess(who, dir, kWrite | kExec);
  if (access == Access::kYes && StickyForbids(who, dir, victim_uid)) return Access::kNo;
  return access;
}

Status MayDeleteStatus(const Subject& who, const Object& dir, uint32_t victim_uid, std::string_view what) {
  KFS_RETURN_IF_ERROR(ToStatus(CheckAccess(who, dir, kWrite | kExec), EACCES, what));
  return ToStatus(YesIf(!StickyForbids(who, dir, victim_uid)), EPERM, what);
}

}  // namespace kfs::meta

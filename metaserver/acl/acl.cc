#include "metaserver/acl/acl.h"

#include <cassert>
#include <cerrno>

namespace kfs::meta {
namespace {

constexpr uint32_t kXattrVersion = 2;
constexpr size_t kHeaderSize = 4;
constexpr size_t kEntrySize = 8;

uint32_t LoadLe(const char* p, size_t bytes) {
  uint32_t v = 0;
  for (size_t i = 0; i < bytes; ++i) v |= uint32_t{static_cast<unsigned char>(p[i])} << (8 * i);
  return v;
}

void AppendLe(std::string* out, uint32_t v, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out->push_back(static_cast<char>(v >> (8 * i)));
}

bool IsNamed(uint16_t tag) { return tag == kAclUser || tag == kAclGroup; }

Status Invalid(const char* why) { return Status(EINVAL, std::string("ACL: ") + why); }

// The entry whose permissions the group bits of the mode show.
AclEntry* GroupClass(Acl& acl) {
  AclEntry* group = nullptr;
  for (AclEntry& e : acl) {
    if (e.tag == kAclMask) return &e;
    if (e.tag == kAclGroupObj) group = &e;
  }
  return group;
}

}  // namespace

Result<Acl> ParseAclXattr(std::string_view value) {
  if (value.size() < kHeaderSize || (value.size() - kHeaderSize) % kEntrySize != 0)
    return Invalid("bad length");
  if (LoadLe(value.data(), 4) != kXattrVersion) return Status(EOPNOTSUPP, "ACL: unknown version");
  Acl acl;
  acl.reserve((value.size() - kHeaderSize) / kEntrySize);
  for (size_t at = kHeaderSize; at < value.size(); at += kEntrySize) {
    const char* p = value.data() + at;
    AclEntry entry{.tag = static_cast<uint16_t>(LoadLe(p, 2)),
                   .perm = static_cast<uint16_t>(LoadLe(p + 2, 2)),
                   .id = LoadLe(p + 4, 4)};
    if (!IsNamed(entry.tag)) entry.id = kAclNoId;  // means nothing there
    acl.push_back(entry);
  }
  if (!acl.empty()) KFS_RETURN_IF_ERROR(ValidateAcl(acl));
  return acl;
}

std::string FormatAclXattr(const Acl& acl) {
  std::string out;
  out.reserve(kHeaderSize + acl.size() * kEntrySize);
  AppendLe(&out, kXattrVersion, 4);
  for (const AclEntry& e : acl) {
    AppendLe(&out, e.tag, 2);
    AppendLe(&out, e.perm, 2);
    AppendLe(&out, e.id, 4);
  }
  return out;
}

// As posix_acl_valid of the kernel, so that what a local file system takes is taken here: it does not mind
// repeated ids.
Status ValidateAcl(const Acl& acl) {
  enum { kWantOwner, kWantUsers, kWantGroups, kWantOther, kDone } state = kWantOwner;
  bool named = false;
  for (const AclEntry& e : acl) {
    if ((e.perm & ~kRwx) != 0) return Invalid("permissions other than rwx");
    if (IsNamed(e.tag)) {
      if (e.id == kAclNoId) return Invalid("a named entry without an id");
      named = true;
    }
    switch (e.tag) {
      case kAclUserObj:
        if (state != kWantOwner) return Invalid("owner entry out of place");
        state = kWantUsers;
        break;
      case kAclUser:
        if (state != kWantUsers) return Invalid("user entry out of place");
        break;
      case kAclGroupObj:
        if (state != kWantUsers) return Invalid("owning group entry out of place");
        state = kWantGroups;
        break;
      case kAclGroup:
        if (state != kWantGroups) return Invalid("group entry out of place");
        break;
      case kAclMask:
        if (state != kWantGroups) return Invalid("mask out of place");
        state = kWantOther;
        break;
      case kAclOther:
        if (state == kWantGroups && named) return Invalid("named entries need a mask");
        if (state != kWantGroups && state != kWantOther) return Invalid("other entry out of place");
        state = kDone;
        break;
      default:
        return Invalid("unknown tag");
    }
  }
  return state == kDone ? Status() : Invalid("incomplete");
}

std::optional<uint32_t> EquivalentMode(const Acl& acl) {
  for (const AclEntry& e : acl) {
    if (IsNamed(e.tag) || e.tag == kAclMask) return std::nullopt;
  }
  return AclToMode(acl, 0);
}

uint32_t AclToMode(const Acl& acl, uint32_t mode) {
  std::optional<uint32_t> group, mask;
  uint32_t bits = 0;
  for (const AclEntry& e : acl) {
    const uint32_t perm = e.perm & kRwx;
    if (e.tag == kAclUserObj) bits |= perm << 6;
    if (e.tag == kAclGroupObj) group = perm;
    if (e.tag == kAclMask) mask = perm;
    if (e.tag == kAclOther) bits |= perm;
  }
  bits |= mask.value_or(group.value_or(0)) << 3;
  return (mode & ~0777u) | bits;
}

Acl AclWithMode(Acl acl, uint32_t mode) {
  for (AclEntry& e : acl) {
    if (e.tag == kAclUserObj) e.perm = (mode >> 6) & kRwx;
    if (e.tag == kAclOther) e.perm = mode & kRwx;
  }
  if (AclEntry* group = GroupClass(acl)) group->perm = (mode >> 3) & kRwx;
  return acl;
}

Inherited InheritAcl(const Acl& parent_default, uint32_t mode, bool is_dir) {
  assert(ValidateAcl(parent_default).ok());
  // The new list is the default one, less what the creator's mode does not ask for.
  Acl access = parent_default;
  for (AclEntry& e : access) {
    if (e.tag == kAclUserObj) e.perm &= (mode >> 6) & kRwx;
    if (e.tag == kAclOther) e.perm &= mode & kRwx;
  }
  if (AclEntry* group = GroupClass(access)) group->perm &= (mode >> 3) & kRwx;

  Inherited out;
  out.mode = AclToMode(access, mode);
  if (!EquivalentMode(access)) out.access = std::move(access);
  if (is_dir) out.default_acl = parent_default;
  return out;
}

}  // namespace kfs::meta

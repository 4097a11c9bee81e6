// POSIX ACLs in the form the kernel takes them: the bytes of the xattrs system.posix_acl_access and _default.
//
//   u32 version = 2, then per entry: u16 tag, u16 permissions, u32 id   (little-endian)
#pragma once

#include <sys/xattr.h>

#include <cstring>
#include <string>
#include <vector>

#include "posix_env.h"

namespace kfs::posix_test {

inline constexpr char kAccessAcl[] = "system.posix_acl_access";
inline constexpr char kDefaultAcl[] = "system.posix_acl_default";

enum AclTag : uint16_t { kUserObj = 1, kUser = 2, kGroupObj = 4, kGroup = 8, kMask = 16, kOther = 32 };

struct AclEntry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id = 0xFFFFFFFF;  // only for kUser and kGroup
  bool operator==(const AclEntry&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const AclEntry& entry) {
  return out << "{tag " << entry.tag << " id " << static_cast<int>(entry.id) << " perm " << entry.permissions
             << "}";
}

inline std::string AclBytes(const std::vector<AclEntry>& entries, uint32_t version = 2) {
  std::string bytes(reinterpret_cast<const char*>(&version), 4);
  for (const AclEntry& entry : entries) {
    bytes.append(reinterpret_cast<const char*>(&entry.tag), 2);
    bytes.append(reinterpret_cast<const char*>(&entry.permissions), 2);
    bytes.append(reinterpret_cast<const char*>(&entry.id), 4);
  }
  return bytes;
}

inline int SetAcl(const std::string& path, const char* which, const std::vector<AclEntry>& entries) {
  std::string bytes = AclBytes(entries);
  return setxattr(path.c_str(), which, bytes.data(), bytes.size(), 0);
}

// Empty when there is none.
inline std::vector<AclEntry> GetAcl(const std::string& path, const char* which) {
  char bytes[4096];
  ssize_t size = getxattr(path.c_str(), which, bytes, sizeof bytes);
  std::vector<AclEntry> entries;
  for (ssize_t at = 4; at + 8 <= size; at += 8) {
    AclEntry entry{0, 0, 0};
    memcpy(&entry.tag, bytes + at, 2);
    memcpy(&entry.permissions, bytes + at + 2, 2);
    memcpy(&entry.id, bytes + at + 4, 4);
    entries.push_back(entry);
  }
  return entries;
}

#define NEEDS_ACLS()                                                                           \
  do {                                                                                         \
    if (getxattr(".", ::kfs::posix_test::kAccessAcl, nullptr, 0) < 0 && errno == EOPNOTSUPP) { \
      FAIL() << "POSIX ACLs are not supported here";                                           \
    }                                                                                          \
  } while (false)

}  // namespace kfs::posix_test

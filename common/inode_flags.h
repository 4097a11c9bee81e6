// The flags of an inode that chattr(1) sets and lsattr(1) shows, as FS_IOC_GETFLAGS numbers them. Stored in
// the inode and sent in its attributes. Other flags of ioctl_iflags(2) are refused rather than kept without
// effect.
#pragma once

#include <cstdint>

namespace kfs {

constexpr uint32_t kFlagImmutable = 0x10;   // 'i': nothing of it changes, it gets and loses no names
constexpr uint32_t kFlagAppendOnly = 0x20;  // 'a': its data only grows; entries of a directory only come
constexpr uint32_t kFlagNoDump = 0x40;      // 'd': for backup programs
constexpr uint32_t kFlagNoAtime = 0x80;     // 'A': reading moves no access time

constexpr uint32_t kFlagsKept = kFlagImmutable | kFlagAppendOnly | kFlagNoDump | kFlagNoAtime;
// Changed by root alone (CAP_LINUX_IMMUTABLE); enforced by the metaserver, for every mount.
constexpr uint32_t kFlagsOfRoot = kFlagImmutable | kFlagAppendOnly;
// What a new inode takes from its directory.
constexpr uint32_t kFlagsInherited = kFlagNoDump | kFlagNoAtime;

}  // namespace kfs

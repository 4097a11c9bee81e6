// What can be wrong with a mount before and while it is made, in words for a person (P9): what, where, and
// what to do next.
#pragma once

#include <string>

#include "common/status.h"
#include "fuse/mount.h"

namespace kfs::fuse {

// The mount point's absolute path. Fails when it is missing, not a directory, in use by a KFS mount, or a
// dead mount.
Result<std::string> CheckMountPoint(const std::string& dir);
// Whether `mountinfo` (the text of /proc/self/mountinfo) has a KFS mount at `path`; its source. Pure.
std::string KfsMountAt(const std::string& mountinfo, const std::string& path);

// /dev/fuse is there and may be used by us.
Status CheckFuseDevice();

// Adds what to do to the client's reason for not connecting.
Status ExplainConnect(const MountOptions& options, const Status& why);
// The same for the kernel's refusal.
Status ExplainKernel(const MountOptions& options, const Status& why);

}  // namespace kfs::fuse

// What the kernel says of this mount at the moment: a remount changes it without telling us. /proc/self/mountinfo
// can be polled for changes, which costs a system call; it is asked before an answer depends on it, so that
// what a remount has changed counts from its return on. The loop's thread only.
#pragma once

#include <string>

#include "fuse/mount_flags.h"

namespace kfs::fuse {

class MountWatch {
 public:
  // Finds what has just been mounted at `mountpoint`; when it cannot be seen (another mount namespace),
  // `flags` count as given.
  MountWatch(const std::string& mountpoint, const MountFlags& flags);
  ~MountWatch();
  MountWatch(const MountWatch&) = delete;
  MountWatch& operator=(const MountWatch&) = delete;

  const MountFlags& Flags();
  bool found() const { return id_ != 0; }

 private:
  std::string ReadAll();

  int fd_ = -1;
  uint64_t id_ = 0;
  MountFlags flags_;
};

}  // namespace kfs::fuse

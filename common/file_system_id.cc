// FileOps::FileSystemId.

#include <fmt/format.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <cstring>

#include "common/file_ops.h"

namespace kfs {

std::string FileOps::FileSystemId(int fd) {
  struct statfs fs {};
  struct stat st {};
  const std::string boot = BootId();  // device numbers mean something on one running kernel
  if (boot.empty() || fstatfs(fd, &fs) != 0 || fstat(fd, &st) != 0) return "";
  if (fs.f_type == BTRFS_SUPER_MAGIC) {
    // Each subvolume has a device number of its own.
    btrfs_ioctl_fs_info_args info{};
    if (ioctl(fd, BTRFS_IOC_FS_INFO, &info) != 0) return "";
    std::string uuid;
    for (unsigned char c : info.fsid) uuid += fmt::format("{:02x}", c);
    return boot + " btrfs " + uuid;
  }
  if (fs.f_type == OVERLAYFS_SUPER_MAGIC) {
    // Each container has one of its own; statfs(2) describes what is below all of them.
    uint64_t id = 0;
    static_assert(sizeof fs.f_fsid == sizeof id);
    std::memcpy(&id, &fs.f_fsid, sizeof id);
    // Where that says nothing, those of one container are known to be one at least.
    if (id != 0) return fmt::format("{} overlay {:x} {:x}", boot, id, fs.f_blocks);
  }
  return fmt::format("{} {}:{}", boot, major(st.st_dev), minor(st.st_dev));
}

}  // namespace kfs

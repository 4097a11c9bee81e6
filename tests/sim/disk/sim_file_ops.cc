#include "tests/sim/disk/sim_file_ops.h"

#include <fmt/format.h>

namespace kfs::sim {

ssize_t SimFileOps::Preadv(int fd, const iovec* iov, int count, uint64_t offset, bool) {
  ssize_t done = 0;
  for (int i = 0; i < count; ++i) {
    const ssize_t n = disk_.Read(fd, static_cast<char*>(iov[i].iov_base), iov[i].iov_len,
                                 offset + static_cast<uint64_t>(done));
    if (n < 0) return done != 0 ? done : n;
    done += n;
    if (static_cast<size_t>(n) < iov[i].iov_len) break;
  }
  return done;
}

// One call of the disk's: it is one of the kernel's.
ssize_t SimFileOps::Pwritev(int fd, const iovec* iov, int count, uint64_t offset) {
  std::string all;
  for (int i = 0; i < count; ++i) all.append(static_cast<const char*>(iov[i].iov_base), iov[i].iov_len);
  return disk_.Write(fd, all, offset);
}

std::string SimFileOps::BootId() { return fmt::format("{:032x}", disk_.power_losses() + 1); }

}  // namespace kfs::sim

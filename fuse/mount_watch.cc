#include "fuse/mount_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "common/log.h"

namespace kfs::fuse {

MountWatch::MountWatch(const std::string& mountpoint, const MountFlags& flags) : flags_(flags) {
  fd_ = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  const auto entry = FindMount(ReadAll(), mountpoint);
  if (!entry || !entry->type.starts_with("fuse")) return;
  id_ = entry->id;
  flags_ = entry->flags;
}

MountWatch::~MountWatch() {
  if (fd_ >= 0) close(fd_);
}

const MountFlags& MountWatch::Flags() {
  pollfd p = {fd_, POLLPRI, 0};
  if (id_ == 0 || poll(&p, 1, 0) != 1 || (p.revents & (POLLPRI | POLLERR)) == 0) return flags_;
  // Gone from here, it may still be seen in another namespace: as it was.
  if (const auto entry = FindMount(ReadAll(), id_); entry && entry->flags != flags_) {
    KFS_LOG(info, "mount.options_changed mountpoint={} from={} to={}", entry->mountpoint, flags_.Text(),
            entry->flags.Text());
    flags_ = entry->flags;
  }
  return flags_;
}

std::string MountWatch::ReadAll() {
  std::string text;
  char buffer[16384];
  if (fd_ < 0 || lseek(fd_, 0, SEEK_SET) != 0) return text;
  for (ssize_t n; (n = read(fd_, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR);) {
    if (n > 0) text.append(buffer, static_cast<size_t>(n));
  }
  return text;
}

}  // namespace kfs::fuse

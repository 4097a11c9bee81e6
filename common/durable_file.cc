#include "common/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace kfs {
namespace {

Status WriteAndSync(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return ErrnoStatus(n == 0 ? EIO : errno, "cannot write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (fsync(fd) != 0) return ErrnoStatus(errno, "cannot sync");
  return {};
}

}  // namespace

Status ReplaceDurably(const std::string& path, std::string_view bytes) {
  const std::string beside = path + ".new";
  const int fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return ErrnoStatus(errno, "cannot write " + beside);
  Status written = WriteAndSync(fd, bytes);
  close(fd);
  if (written.ok() && std::rename(beside.c_str(), path.c_str()) != 0)
    written = ErrnoStatus(errno, "cannot replace");
  if (!written.ok()) return Status(written.err(), written.message() + " (" + path + ")");
  return SyncPath(std::filesystem::path(path).parent_path());
}

Status SyncPath(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && fsync(fd) == 0;
  const int err = errno;
  if (fd >= 0) close(fd);
  return synced ? Status() : ErrnoStatus(err, "cannot sync " + path);
}

}  // namespace kfs

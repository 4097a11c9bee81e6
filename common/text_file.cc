#include "common/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace kfs {
namespace {

// Of a file that was just made: readable by all, whatever the umask of who makes it.
int ForAll(int fd) {
  if (fd >= 0) (void)fchmod(fd, 0644);
  return fd;
}

Status WriteTo(int fd, const std::string& path, std::string_view text) {
  if (fd < 0) return ErrnoStatus(errno, "writing " + path);
  Status result;
  while (!text.empty() && result.ok()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<size_t>(n));
    } else if (n == 0 || errno != EINTR) {
      result = ErrnoStatus(n == 0 ? EIO : errno, "writing " + path);
    }
  }
  if (close(fd) != 0 && result.ok()) result = ErrnoStatus(errno, "writing " + path);
  return result;
}

}  // namespace

Status WriteTextFile(const std::string& path, std::string_view text) {
  struct stat st {};
  if (stat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode)) {
    return WriteTo(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), path, text);
  }
  std::error_code ec;
  std::filesystem::path target = std::filesystem::canonical(path, ec);
  // Nothing is there yet, or a link that leads nowhere: that is what an open would make.
  if (ec) return WriteTo(ForAll(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)), path, text);
  const std::string beside = target.string() + ".new";
  (void)unlink(beside.c_str());  // of an earlier attempt
  Status written =
      WriteTo(ForAll(open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)), path, text);
  if (written.ok() && std::rename(beside.c_str(), target.c_str()) != 0)
    written = ErrnoStatus(errno, "writing " + path);
  if (!written.ok()) (void)unlink(beside.c_str());
  return written;
}

void RemoveRegularFile(const std::string& path) {
  struct stat st {};
  if (lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode)) (void)unlink(path.c_str());
}

}  // namespace kfs

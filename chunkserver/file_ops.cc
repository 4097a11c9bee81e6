#include "chunkserver/file_ops.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <string_view>
#include <vector>

namespace kfs {
namespace {

template <typename Fn>
auto Retry(Fn fn) -> decltype(fn()) {
  for (;;) {
    auto r = fn();
    if (r >= 0) return r;
    if (errno != EINTR) return -errno;
  }
}

}  // namespace

int FileOps::Open(const std::string& path, int flags, mode_t mode) {
  return Retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
}
void FileOps::Close(int fd) { ::close(fd); }
int FileOps::Lock(int fd) {
  return Retry([&] { return ::flock(fd, LOCK_EX | LOCK_NB); });
}
ssize_t FileOps::Preadv(int fd, const iovec* iov, int count, uint64_t offset, bool nowait) {
  return Retry(
      [&] { return ::preadv2(fd, iov, count, static_cast<off_t>(offset), nowait ? RWF_NOWAIT : 0); });
}
ssize_t FileOps::Pwritev(int fd, const iovec* iov, int count, uint64_t offset) {
  return Retry([&] { return ::pwritev(fd, iov, count, static_cast<off_t>(offset)); });
}
int FileOps::Fallocate(int fd, int mode, uint64_t offset, uint64_t length) {
  return Retry([&] { return ::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length)); });
}
int FileOps::Ftruncate(int fd, uint64_t size) {
  return Retry([&] { return ::ftruncate(fd, static_cast<off_t>(size)); });
}
int FileOps::Fdatasync(int fd) {
  return Retry([&] { return ::fdatasync(fd); });
}
int FileOps::Syncfs(int fd) {
  return Retry([&] { return ::syncfs(fd); });
}
int FileOps::FsyncDir(const std::string& path) {
  Fd dir(this, Open(path, O_RDONLY | O_DIRECTORY));
  if (dir.get() < 0) return dir.get();
  return Retry([&] { return ::fsync(dir.get()); });
}
int FileOps::Unlink(const std::string& path) {
  return Retry([&] { return ::unlink(path.c_str()); });
}
int FileOps::Rename(const std::string& from, const std::string& to) {
  return Retry([&] { return ::rename(from.c_str(), to.c_str()); });
}
int FileOps::Mkdir(const std::string& path) {
  return Retry([&] { return ::mkdir(path.c_str(), 0700); });
}
int FileOps::Rmdir(const std::string& path) {
  return Retry([&] { return ::rmdir(path.c_str()); });
}
int FileOps::List(const std::string& path, std::vector<std::string>* names) {
  names->clear();
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return -errno;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string_view name(entry->d_name);
    if (name != "." && name != "..") names->emplace_back(name);
  }
  ::closedir(dir);
  return 0;
}
int FileOps::Stat(const std::string& path, struct stat* st) {
  return Retry([&] { return ::stat(path.c_str(), st); });
}
int FileOps::Fstat(int fd, struct stat* st) {
  return Retry([&] { return ::fstat(fd, st); });
}
int FileOps::Statvfs(const std::string& path, struct statvfs* st) {
  return Retry([&] { return ::statvfs(path.c_str(), st); });
}

int FileOps::PwritevAll(int fd, const iovec* iov, int count, uint64_t offset) {
  std::vector<iovec> rest(iov, iov + count);
  size_t first = 0;
  while (first < rest.size()) {
    if (rest[first].iov_len == 0) {
      ++first;
      continue;
    }
    ssize_t n = Pwritev(fd, rest.data() + first, static_cast<int>(rest.size() - first), offset);
    if (n < 0) return static_cast<int>(n);
    if (n == 0) return -EIO;
    offset += static_cast<uint64_t>(n);
    while (n > 0) {
      size_t take = std::min(static_cast<size_t>(n), rest[first].iov_len);
      rest[first].iov_base = static_cast<char*>(rest[first].iov_base) + take;
      rest[first].iov_len -= take;
      n -= static_cast<ssize_t>(take);
      if (rest[first].iov_len == 0) ++first;
    }
  }
  return 0;
}

int FileOps::PwriteAll(int fd, const void* data, size_t size, uint64_t offset) {
  iovec iov{const_cast<void*>(data), size};
  return PwritevAll(fd, &iov, 1, offset);
}

ssize_t FileOps::PreadAll(int fd, void* data, size_t size, uint64_t offset) {
  size_t done = 0;
  while (done < size) {
    iovec iov{static_cast<char*>(data) + done, size - done};
    ssize_t n = Preadv(fd, &iov, 1, offset + done, false);
    if (n < 0) return n;
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return static_cast<ssize_t>(done);
}

Fd::~Fd() {
  if (fd_ >= 0) ops_->Close(fd_);
}

}  // namespace kfs

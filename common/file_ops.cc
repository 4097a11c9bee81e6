#include "common/file_ops.h"

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
int64_t FileOps::NextData(int fd, uint64_t offset) {
  const off_t found = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
  return found < 0 ? -errno : found;
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
int FileOps::Fsync(int fd) {
  return Retry([&] { return ::fsync(fd); });
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
int FileOps::Link(const std::string& from, const std::string& to) {
  return Retry([&] { return ::link(from.c_str(), to.c_str()); });
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

int FileOps::Chmod(const std::string& path, mode_t mode) {
  return Retry([&] { return ::chmod(path.c_str(), mode); });
}
std::string FileOps::BootId() {
  char text[64];
  const int fd = Retry([] { return ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC); });
  if (fd < 0) return "";
  const ssize_t n = Retry([&] { return ::read(fd, text, sizeof text); });
  ::close(fd);
  std::string id(text, static_cast<size_t>(std::max<ssize_t>(n, 0)));
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
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

bool FileOps::Exists(const std::string& path) {
  struct stat st {};
  return Stat(path, &st) == 0;
}

int FileOps::ReadFile(const std::string& path, size_t size_max, std::string* bytes) {
  bytes->clear();
  const Fd fd(this, Open(path, O_RDONLY));
  if (fd.get() < 0) return fd.get();
  struct stat st {};
  if (const int err = Fstat(fd.get(), &st); err < 0) return err;
  if (static_cast<uint64_t>(st.st_size) > size_max) return -EFBIG;
  bytes->resize(static_cast<size_t>(st.st_size));
  const ssize_t n = PreadAll(fd.get(), bytes->data(), bytes->size(), 0);
  bytes->resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
  return n < 0 ? static_cast<int>(n) : 0;
}

int FileOps::MakeDirs(const std::string& path) {
  int err = Mkdir(path);
  const std::string parent = ParentOf(path);
  if (err == -ENOENT && parent != path) {
    if (err = MakeDirs(parent); err < 0) return err;
    err = Mkdir(path);
  }
  if (err == 0) return FsyncDir(parent);
  struct stat st {};
  if (err != -EEXIST || Stat(path, &st) < 0) return err;
  return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int FileOps::RemoveAll(const std::string& path) {
  int err = Unlink(path);
  if (err == -EISDIR) {
    std::vector<std::string> names;
    if (err = List(path, &names); err < 0) return err;
    for (const std::string& name : names) {
      if (err = RemoveAll(path + "/" + name); err < 0) return err;
    }
    err = Rmdir(path);
  }
  return err == -ENOENT ? 0 : err;
}

FileOps& SystemFiles() {
  static FileOps files;  // without a state
  return files;
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return path.substr(0, std::max<size_t>(slash, 1));
}

Fd::~Fd() {
  if (fd_ >= 0) ops_->Close(fd_);
}

}  // namespace kfs

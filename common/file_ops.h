// The system calls that touch a server's disks, in one place, so that tests can stop, tear or fail any of
// them, and simulations can put a disk of their own below. Any thread. Results are as the kernel's: >= 0, or
// a negative errno. Interrupted calls are repeated.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kfs {

class FileOps {
 public:
  virtual ~FileOps() = default;
  virtual int Open(const std::string& path, int flags, mode_t mode = 0600);
  virtual void Close(int fd);
  // Takes the file for this descriptor until it is closed. -EWOULDBLOCK: another one has it.
  virtual int Lock(int fd);
  // One attempt; may be short. nowait: -EAGAIN instead of waiting for the disk.
  virtual ssize_t Preadv(int fd, const iovec* iov, int count, uint64_t offset, bool nowait);
  // Where the first byte at or behind the offset is that is not in a hole. -ENXIO: the rest is none but holes.
  virtual int64_t NextData(int fd, uint64_t offset);
  virtual ssize_t Pwritev(int fd, const iovec* iov, int count, uint64_t offset);
  virtual int Fallocate(int fd, int mode, uint64_t offset, uint64_t length);
  virtual int Ftruncate(int fd, uint64_t size);
  virtual int Fdatasync(int fd);
  virtual int Fsync(int fd);
  virtual int Syncfs(int fd);
  virtual int FsyncDir(const std::string& path);
  virtual int Unlink(const std::string& path);
  virtual int Rename(const std::string& from, const std::string& to);
  virtual int Link(const std::string& from, const std::string& to);
  virtual int Mkdir(const std::string& path);  // its owner's only
  virtual int Rmdir(const std::string& path);
  // What a directory holds, in any order, without "." and "..".
  virtual int List(const std::string& path, std::vector<std::string>* names);
  virtual int Stat(const std::string& path, struct stat* st);
  virtual int Fstat(int fd, struct stat* st);
  virtual int Statvfs(const std::string& path, struct statvfs* st);
  virtual int Chmod(const std::string& path, mode_t mode);
  // Which file system an open directory lies on, in words that are the same for everybody who has directories
  // on it, in other processes and containers of the machine too, and for nobody else: so that its space is
  // counted once. Empty when it cannot be told: such a directory counts for itself.
  virtual std::string FileSystemId(int fd);
  // Another one after each start of the kernel: what was written and not synced under another one may be
  // gone. Empty when it cannot be told.
  virtual std::string BootId();

  // ---- what is made of these
  // Repeats until all is written or an error comes. 0 or -errno.
  int PwritevAll(int fd, const iovec* iov, int count, uint64_t offset);
  int PwriteAll(int fd, const void* data, size_t size, uint64_t offset);
  // Repeats until `size` bytes or the end of the file. Bytes read or -errno.
  ssize_t PreadAll(int fd, void* data, size_t size, uint64_t offset);
  bool Exists(const std::string& path);
  // A whole small file. -EFBIG: it has more than `size_max` bytes.
  int ReadFile(const std::string& path, size_t size_max, std::string* bytes);
  // The directory and those above it that are missing; the name of each that is made is durable. -ENOTDIR:
  // something else has its name.
  int MakeDirs(const std::string& path);
  // A file, or a directory with all that is in it; links are not followed. 0 also when nothing is there. What
  // it removes may be back after a loss of power.
  int RemoveAll(const std::string& path);
};

// The machine's, for programs' mains and tests; what is below them has its files handed in.
FileOps& SystemFiles();

// The directory that a path lies in: "/" of "/a", "." of "a".
std::string ParentOf(const std::string& path);

// An open file, closed when its last owner lets go.
class Fd {
 public:
  // `ops`, which has opened it, outlives it.
  Fd(FileOps* ops, int fd) : ops_(ops), fd_(fd) {}
  ~Fd();
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }

 private:
  FileOps* const ops_;
  const int fd_;
};
using FdPtr = std::shared_ptr<const Fd>;

}  // namespace kfs

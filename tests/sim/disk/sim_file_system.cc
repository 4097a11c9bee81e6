#include "tests/sim/disk/sim_file_system.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

namespace kfs::sim {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// As RocksDB's own files say it, but that a full disk is an error like any other: RocksDB waits for room on a
// thread of its own.
IOStatus Told(int64_t result, const std::string& path) {
  if (result >= 0) return IOStatus::OK();
  const int err = static_cast<int>(-result);
  const std::string words = path + ": " + std::strerror(err);
  if (err == ENOENT) return IOStatus::PathNotFound(words);
  return IOStatus::IOError(words);
}

// A descriptor of the disk and what it is of.
class Handle {
 public:
  Handle(SimDisk& disk, int fd, std::string path) : disk_(disk), fd_(fd), path_(std::move(path)) {}
  ~Handle() { Close(); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  void Close() {
    if (fd_ >= 0) (void)disk_.Close(fd_);
    fd_ = -1;
  }
  IOStatus Read(uint64_t offset, size_t size, Slice* result, char* scratch) const {
    const ssize_t n = disk_.Read(fd_, scratch, size, offset);
    *result = Slice(scratch, n < 0 ? 0 : static_cast<size_t>(n));
    return Told(n, path_);
  }
  // Until all is written, as RocksDB's own files do it.
  IOStatus Write(uint64_t offset, const Slice& data) const {
    for (size_t done = 0; done < data.size();) {
      const ssize_t n = disk_.Write(fd_, {data.data() + done, data.size() - done}, offset + done);
      if (n < 0) return Told(n, path_);
      done += static_cast<size_t>(n);
    }
    return IOStatus::OK();
  }
  IOStatus Sync() const { return Told(disk_.Sync(fd_), path_); }
  IOStatus Truncate(uint64_t size) const { return Told(disk_.Truncate(fd_, size), path_); }
  uint64_t Size() const {
    struct stat st {};
    return disk_.Fstat(fd_, &st) == 0 ? static_cast<uint64_t>(st.st_size) : 0;
  }

 private:
  SimDisk& disk_;
  int fd_;
  const std::string path_;
};

class Sequential final : public rocksdb::FSSequentialFile {
 public:
  Sequential(SimDisk& disk, int fd, const std::string& path) : file_(disk, fd, path) {}
  IOStatus Read(size_t n, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    const IOStatus s = file_.Read(at_, n, result, scratch);
    at_ += result->size();
    return s;
  }
  IOStatus Skip(uint64_t n) override {
    at_ += n;
    return IOStatus::OK();
  }

 private:
  Handle file_;
  uint64_t at_ = 0;
};

class RandomAccess final : public rocksdb::FSRandomAccessFile {
 public:
  RandomAccess(SimDisk& disk, int fd, const std::string& path) : file_(disk, fd, path) {}
  IOStatus Read(uint64_t offset, size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return file_.Read(offset, n, result, scratch);
  }

 private:
  Handle file_;
};

class Writable final : public rocksdb::FSWritableFile {
 public:
  Writable(SimDisk& disk, int fd, const std::string& path) : file_(disk, fd, path), size_(file_.Size()) {}
  using rocksdb::FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    const IOStatus s = file_.Write(size_, data);
    if (s.ok()) size_ += data.size();
    return s;
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    const IOStatus s = file_.Truncate(size);
    if (s.ok()) size_ = size;
    return s;
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    file_.Close();
    return IOStatus::OK();
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return file_.Sync(); }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  Handle file_;
  uint64_t size_;
};

class ReadWrite final : public rocksdb::FSRandomRWFile {
 public:
  ReadWrite(SimDisk& disk, int fd, const std::string& path) : file_(disk, fd, path) {}
  IOStatus Write(uint64_t offset, const Slice& data, const IOOptions&, IODebugContext*) override {
    return file_.Write(offset, data);
  }
  IOStatus Read(uint64_t offset, size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return file_.Read(offset, n, result, scratch);
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return file_.Sync(); }
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    file_.Close();
    return IOStatus::OK();
  }

 private:
  Handle file_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(SimDisk& disk, int fd, const std::string& path) : dir_(disk, fd, path) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return dir_.Sync(); }
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    dir_.Close();
    return IOStatus::OK();
  }

 private:
  Handle dir_;
};

class Locked final : public rocksdb::FileLock {
 public:
  Locked(SimDisk& disk, int fd, const std::string& path) : file_(disk, fd, path) {}

 private:
  Handle file_;
};

template <typename File, typename Base>
IOStatus Opened(SimDisk& disk, const std::string& path, int flags, std::unique_ptr<Base>* file) {
  const int fd = disk.Open(path, flags);
  if (fd < 0) return Told(fd, path);
  *file = std::make_unique<File>(disk, fd, path);
  return IOStatus::OK();
}

}  // namespace

IOStatus SimFileSystem::NewSequentialFile(const std::string& path, const FileOptions&,
                                          std::unique_ptr<rocksdb::FSSequentialFile>* file, Context*) {
  return Opened<Sequential>(disk_, path, O_RDONLY, file);
}
IOStatus SimFileSystem::NewRandomAccessFile(const std::string& path, const FileOptions&,
                                            std::unique_ptr<rocksdb::FSRandomAccessFile>* file, Context*) {
  return Opened<RandomAccess>(disk_, path, O_RDONLY, file);
}
IOStatus SimFileSystem::NewWritableFile(const std::string& path, const FileOptions&,
                                        std::unique_ptr<rocksdb::FSWritableFile>* file, Context*) {
  return Opened<Writable>(disk_, path, O_WRONLY | O_CREAT | O_TRUNC, file);
}
IOStatus SimFileSystem::ReopenWritableFile(const std::string& path, const FileOptions&,
                                           std::unique_ptr<rocksdb::FSWritableFile>* file, Context*) {
  return Opened<Writable>(disk_, path, O_WRONLY | O_CREAT, file);
}
IOStatus SimFileSystem::ReuseWritableFile(const std::string& path, const std::string& old, const FileOptions&,
                                          std::unique_ptr<rocksdb::FSWritableFile>* file, Context*) {
  if (const int err = disk_.Rename(old, path); err < 0) return Told(err, old);
  return Opened<Writable>(disk_, path, O_WRONLY | O_TRUNC, file);
}
IOStatus SimFileSystem::NewRandomRWFile(const std::string& path, const FileOptions&,
                                        std::unique_ptr<rocksdb::FSRandomRWFile>* file, Context*) {
  return Opened<ReadWrite>(disk_, path, O_RDWR, file);
}
IOStatus SimFileSystem::NewDirectory(const std::string& path, const Options&,
                                     std::unique_ptr<rocksdb::FSDirectory>* dir, Context*) {
  return Opened<Directory>(disk_, path, O_RDONLY | O_DIRECTORY, dir);
}

IOStatus SimFileSystem::FileExists(const std::string& path, const Options&, Context*) {
  struct stat st {};
  const int err = disk_.Stat(path, &st);
  if (err == -ENOENT || err == -ENOTDIR) return IOStatus::NotFound(path);
  return Told(err, path);
}
IOStatus SimFileSystem::GetChildren(const std::string& dir, const Options&, std::vector<std::string>* names,
                                    Context*) {
  names->clear();
  const int err = disk_.List(dir, names);
  return err == -ENOENT ? IOStatus::NotFound(dir) : Told(err, dir);
}
IOStatus SimFileSystem::DeleteFile(const std::string& path, const Options&, Context*) {
  return Told(disk_.Unlink(path), path);
}
IOStatus SimFileSystem::Truncate(const std::string& path, size_t size, const Options&, Context*) {
  const int fd = disk_.Open(path, O_WRONLY);
  if (fd < 0) return Told(fd, path);
  return Handle(disk_, fd, path).Truncate(size);
}
IOStatus SimFileSystem::CreateDir(const std::string& path, const Options&, Context*) {
  return Told(disk_.Mkdir(path), path);
}
IOStatus SimFileSystem::CreateDirIfMissing(const std::string& path, const Options&, Context*) {
  const int err = disk_.Mkdir(path);
  return Told(err == -EEXIST ? 0 : err, path);
}
IOStatus SimFileSystem::DeleteDir(const std::string& path, const Options&, Context*) {
  return Told(disk_.Rmdir(path), path);
}
IOStatus SimFileSystem::GetFileSize(const std::string& path, const Options&, uint64_t* size, Context*) {
  struct stat st {};
  const int err = disk_.Stat(path, &st);
  *size = static_cast<uint64_t>(st.st_size);
  return Told(err, path);
}
IOStatus SimFileSystem::GetFileModificationTime(const std::string& path, const Options&, uint64_t* time,
                                                Context*) {
  struct stat st {};
  const int err = disk_.Stat(path, &st);
  *time = static_cast<uint64_t>(st.st_mtime);
  return Told(err, path);
}
IOStatus SimFileSystem::RenameFile(const std::string& from, const std::string& to, const Options&, Context*) {
  return Told(disk_.Rename(from, to), from);
}
IOStatus SimFileSystem::LinkFile(const std::string& from, const std::string& to, const Options&, Context*) {
  return Told(disk_.Link(from, to), from);
}
IOStatus SimFileSystem::NumFileLinks(const std::string& path, const Options&, uint64_t* count, Context*) {
  struct stat st {};
  const int err = disk_.Stat(path, &st);
  *count = st.st_nlink;
  return Told(err, path);
}
IOStatus SimFileSystem::AreFilesSame(const std::string& a, const std::string& b, const Options&, bool* same,
                                     Context*) {
  struct stat first {
  }, second{};
  if (const int err = disk_.Stat(a, &first); err < 0) return Told(err, a);
  if (const int err = disk_.Stat(b, &second); err < 0) return Told(err, b);
  *same = first.st_ino == second.st_ino;
  return IOStatus::OK();
}
IOStatus SimFileSystem::LockFile(const std::string& path, const Options&, rocksdb::FileLock** lock,
                                 Context*) {
  const int fd = disk_.Open(path, O_RDWR | O_CREAT);
  if (fd < 0) return Told(fd, path);
  auto locked = std::make_unique<Locked>(disk_, fd, path);
  if (const int err = disk_.Lock(fd); err < 0) return Told(err, "While lock file: " + path);
  *lock = locked.release();
  return IOStatus::OK();
}
IOStatus SimFileSystem::UnlockFile(rocksdb::FileLock* lock, const Options&, Context*) {
  delete lock;
  return IOStatus::OK();
}
IOStatus SimFileSystem::GetTestDirectory(const Options&, std::string* path, Context*) {
  *path = "/test";
  return IOStatus::OK();
}
IOStatus SimFileSystem::NewLogger(const std::string& path, const Options&, std::shared_ptr<rocksdb::Logger>*,
                                  Context*) {
  return IOStatus::NotSupported("no logger for " + path);
}
IOStatus SimFileSystem::GetAbsolutePath(const std::string& path, const Options&, std::string* absolute,
                                        Context*) {
  *absolute = path;
  return IOStatus::OK();
}
IOStatus SimFileSystem::GetFreeSpace(const std::string& path, const Options&, uint64_t* free, Context*) {
  struct statvfs st {};
  const int err = disk_.Statvfs(&st);
  *free = st.f_bavail * st.f_frsize;
  return Told(err, path);
}
IOStatus SimFileSystem::IsDirectory(const std::string& path, const Options&, bool* is, Context*) {
  struct stat st {};
  const int err = disk_.Stat(path, &st);
  *is = S_ISDIR(st.st_mode);
  return Told(err, path);
}

}  // namespace kfs::sim

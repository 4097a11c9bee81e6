// A simulated disk as servers want their files. Any thread. Nothing waits, so that a read that would not wait
// for the disk finds all there; modes and owners of files are none of its matters.
#pragma once

#include <string>
#include <vector>

#include "common/file_ops.h"
#include "tests/sim/disk/sim_disk.h"

namespace kfs::sim {

class SimFileOps : public FileOps {
 public:
  // The disk outlives it.
  explicit SimFileOps(SimDisk& disk) : disk_(disk) {}

  int Open(const std::string& path, int flags, mode_t) override { return disk_.Open(path, flags); }
  void Close(int fd) override { (void)disk_.Close(fd); }
  int Lock(int fd) override { return disk_.Lock(fd); }
  ssize_t Preadv(int fd, const iovec* iov, int count, uint64_t offset, bool nowait) override;
  ssize_t Pwritev(int fd, const iovec* iov, int count, uint64_t offset) override;
  int Fallocate(int fd, int mode, uint64_t offset, uint64_t length) override {
    return disk_.Fallocate(fd, mode, offset, length);
  }
  int Ftruncate(int fd, uint64_t size) override { return disk_.Truncate(fd, size); }
  int Fdatasync(int fd) override { return disk_.Sync(fd); }
  int Fsync(int fd) override { return disk_.Sync(fd); }
  int Syncfs(int) override { return disk_.SyncAll(); }
  int FsyncDir(const std::string& path) override { return disk_.SyncDir(path); }
  int Unlink(const std::string& path) override { return disk_.Unlink(path); }
  int Rename(const std::string& from, const std::string& to) override { return disk_.Rename(from, to); }
  int Link(const std::string& from, const std::string& to) override { return disk_.Link(from, to); }
  int Mkdir(const std::string& path) override { return disk_.Mkdir(path); }
  int Rmdir(const std::string& path) override { return disk_.Rmdir(path); }
  int List(const std::string& path, std::vector<std::string>* names) override {
    return disk_.List(path, names);
  }
  int Fstat(int fd, struct stat* st) override { return disk_.Fstat(fd, st); }
  int64_t NextData(int, uint64_t offset) override {
    return static_cast<int64_t>(offset);
  }  // there may be some
  int Stat(const std::string& path, struct stat* st) override { return disk_.Stat(path, st); }
  int Statvfs(const std::string&, struct statvfs* st) override { return disk_.Statvfs(st); }
  int Chmod(const std::string& path, mode_t) override {
    struct stat st {};
    return disk_.Stat(path, &st);
  }
  std::string FileSystemId(int) override { return ""; }  // another disk may have the same seed
  std::string BootId() override;

 private:
  SimDisk& disk_;
};

}  // namespace kfs::sim

// A simulated disk as RocksDB wants its files. Any thread. There is no logger: a database brings its own.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/disk/sim_disk.h"

namespace kfs::sim {

class SimFileSystem final : public rocksdb::FileSystem {
 public:
  using Options = rocksdb::IOOptions;
  using FileOptions = rocksdb::FileOptions;
  using Context = rocksdb::IODebugContext;
  using IOStatus = rocksdb::IOStatus;

  // The disk outlives it.
  explicit SimFileSystem(SimDisk& disk) : disk_(disk) {}
  const char* Name() const override { return "SimFileSystem"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* file, Context*) override;
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file, Context*) override;
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* file, Context*) override;
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>* file, Context*) override;
  IOStatus ReuseWritableFile(const std::string& path, const std::string& old, const FileOptions&,
                             std::unique_ptr<rocksdb::FSWritableFile>* file, Context*) override;
  IOStatus NewRandomRWFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSRandomRWFile>* file, Context*) override;
  IOStatus NewDirectory(const std::string& path, const Options&, std::unique_ptr<rocksdb::FSDirectory>* dir,
                        Context*) override;

  IOStatus FileExists(const std::string& path, const Options&, Context*) override;
  IOStatus GetChildren(const std::string& dir, const Options&, std::vector<std::string>* names,
                       Context*) override;
  IOStatus DeleteFile(const std::string& path, const Options&, Context*) override;
  IOStatus Truncate(const std::string& path, size_t size, const Options&, Context*) override;
  IOStatus CreateDir(const std::string& path, const Options&, Context*) override;
  IOStatus CreateDirIfMissing(const std::string& path, const Options&, Context*) override;
  IOStatus DeleteDir(const std::string& path, const Options&, Context*) override;
  IOStatus GetFileSize(const std::string& path, const Options&, uint64_t* size, Context*) override;
  IOStatus GetFileModificationTime(const std::string& path, const Options&, uint64_t* time,
                                   Context*) override;
  IOStatus RenameFile(const std::string& from, const std::string& to, const Options&, Context*) override;
  IOStatus LinkFile(const std::string& from, const std::string& to, const Options&, Context*) override;
  IOStatus NumFileLinks(const std::string& path, const Options&, uint64_t* count, Context*) override;
  IOStatus AreFilesSame(const std::string& a, const std::string& b, const Options&, bool* same,
                        Context*) override;
  IOStatus LockFile(const std::string& path, const Options&, rocksdb::FileLock** lock, Context*) override;
  IOStatus UnlockFile(rocksdb::FileLock* lock, const Options&, Context*) override;
  IOStatus GetTestDirectory(const Options&, std::string* path, Context*) override;
  IOStatus NewLogger(const std::string& path, const Options&, std::shared_ptr<rocksdb::Logger>*,
                     Context*) override;
  IOStatus GetAbsolutePath(const std::string& path, const Options&, std::string* absolute, Context*) override;
  IOStatus GetFreeSpace(const std::string& path, const Options&, uint64_t* free, Context*) override;
  IOStatus IsDirectory(const std::string& path, const Options&, bool* is, Context*) override;

 private:
  SimDisk& disk_;
};

}  // namespace kfs::sim

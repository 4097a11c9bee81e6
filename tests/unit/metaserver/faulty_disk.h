// A disk that fails for RocksDB's logs below one directory, when told. Other files are well.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

namespace kfs::meta {

class FaultyDisk : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultyDisk(std::string under)
      : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()), under_(std::move(under)) {}
  const char* Name() const override { return "FaultyDisk"; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* context) override {
    rocksdb::IOStatus s = target()->NewWritableFile(path, options, file, context);
    if (s.ok() && path.starts_with(under_) && path.ends_with(".log"))
      *file = std::make_unique<Log>(std::move(*file), *this);
    return s;
  }

  std::atomic<bool> writes_fail{false}, syncs_fail{false};

 private:
  class Log : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    Log(std::unique_ptr<rocksdb::FSWritableFile> file, const FaultyDisk& disk)
        : rocksdb::FSWritableFileOwnerWrapper(std::move(file)), disk_(disk) {}
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* context) override {
      if (disk_.writes_fail) return rocksdb::IOStatus::IOError("the disk is gone");
      return target()->Append(data, options, context);
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo&,
                             rocksdb::IODebugContext* context) override {
      return Append(data, options, context);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* context) override {
      if (disk_.syncs_fail) return rocksdb::IOStatus::IOError("the disk has lost it");
      return target()->Sync(options, context);
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* context) override {
      return Sync(options, context);
    }

   private:
    const FaultyDisk& disk_;
  };

  const std::string under_;
};

}  // namespace kfs::meta

// RocksDB's own words, in this process's log. Not in a file beside the database, where it would have them: on
// a disk that fails, an assertion about that file ended the process before it could say why it ends.
#pragma once

#include <rocksdb/env.h>

#include <string>

namespace kfs::meta {

class RocksLog final : public rocksdb::Logger {
 public:
  // Of the database in that directory. Warnings and errors only.
  explicit RocksLog(std::string db)
      : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), db_(std::move(db)) {}

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list args) override;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list args) override;
  void LogHeader(const char*, va_list) override {}

 private:
  const std::string db_;
};

}  // namespace kfs::meta

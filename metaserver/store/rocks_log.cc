#include "metaserver/store/rocks_log.h"

#include <cstdio>

#include "common/log.h"
#include "common/utf8.h"

namespace kfs::meta {
namespace {

constexpr size_t kRocksWordsMax = 1024;

std::string Words(const char* format, va_list args) {
  char text[kRocksWordsMax];
  const int size = std::vsnprintf(text, sizeof(text), format, args);
  return size <= 0 ? "" : Printable(text, kRocksWordsMax);
}

}  // namespace

void RocksLog::Logv(const char* format, va_list args) {
  Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, args);
}

void RocksLog::Logv(rocksdb::InfoLogLevel level, const char* format, va_list args) {
  if (level < GetInfoLogLevel() || level > rocksdb::InfoLogLevel::FATAL_LEVEL) return;
  const std::string words = Words(format, args);
  if (level == rocksdb::InfoLogLevel::WARN_LEVEL) {
    KFS_LOG(warn, "store.rocksdb db={} words=\"{}\"", db_, words);
  } else {
    KFS_LOG(error, "store.rocksdb db={} words=\"{}\"", db_, words);
  }
}

}  // namespace kfs::meta

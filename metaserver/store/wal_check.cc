#include "metaserver/store/wal_check.h"

#include <rocksdb/env.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/crc32c.h"

namespace kfs::meta {
namespace {

// The log's format (leveldb's): blocks of 32 KiB, records of crc:4 length:2 type:1 payload that never cross a
// block.
constexpr size_t kBlock = 32768;
constexpr size_t kHeader = 7;
constexpr uint8_t kTypeMax = 4;  // full, first, middle, last

uint32_t Unmask(uint32_t masked) {
  uint32_t rot = masked - 0xa282ead8u;
  return (rot >> 17) | (rot << 15);
}

// Length of the intact record at `at`, 0 when there is none.
size_t RecordAt(std::string_view log, size_t at) {
  if (at + kHeader > log.size() || at % kBlock + kHeader > kBlock) return 0;
  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(log[at + i])); };
  const uint32_t length = byte(4) | byte(5) << 8;
  const uint32_t type = byte(6);
  if (type == 0 || type > kTypeMax || at % kBlock + kHeader + length > kBlock ||
      at + kHeader + length > log.size())
    return 0;
  const uint32_t masked = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
  return Crc32c(log.data() + at + 6, 1 + length) == Unmask(masked) ? kHeader + length : 0;
}

// Walks the records from the start; gives where they stop being intact.
size_t IntactUpTo(std::string_view log) {
  size_t at = 0;
  while (at < log.size()) {
    if (kBlock - at % kBlock < kHeader) {  // a block's trailer
      at += kBlock - at % kBlock;
      continue;
    }
    size_t length = RecordAt(log, at);
    if (length == 0) break;
    at += length;
  }
  return std::min(at, log.size());
}

bool HasRecordAfter(std::string_view log, size_t at) {
  for (; at + kHeader <= log.size(); ++at) {
    if (RecordAt(log, at) != 0) return true;
  }
  return false;
}

LogState CheckFile(rocksdb::Env* env, const std::string& path) {
  std::string log;
  if (!rocksdb::ReadFileToString(env, path, &log).ok()) return LogState::kWhole;
  const size_t good = IntactUpTo(log);
  if (good == log.size()) return LogState::kWhole;
  const std::string_view header = std::string_view(log).substr(good, kHeader);
  if (header.find_first_not_of('\0') == std::string_view::npos) return LogState::kTorn;
  return HasRecordAfter(log, good + 1) ? LogState::kDamaged : LogState::kTorn;
}

}  // namespace

LogState CheckLogs(rocksdb::Env* env, const std::string& db_path) {
  std::string manifest;
  (void)rocksdb::ReadFileToString(env, db_path + "/CURRENT", &manifest).ok();
  manifest = manifest.substr(0, manifest.find('\n'));
  if (manifest.starts_with("MANIFEST-") && CheckFile(env, db_path + "/" + manifest) == LogState::kDamaged)
    return LogState::kDamaged;
  std::vector<std::string> names;
  (void)env->GetChildren(db_path, &names).ok();
  LogState worst = LogState::kWhole;
  for (const std::string& name : names) {
    if (name.ends_with(".log")) worst = std::max(worst, CheckFile(env, db_path + "/" + name));
  }
  return worst;
}

}  // namespace kfs::meta

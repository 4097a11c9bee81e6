#include "metaserver/store/synced_mark.h"

#include <fmt/format.h>
#include <rocksdb/env.h>

#include <charconv>
#include <string_view>

#include "common/crc32c.h"

namespace kfs::meta {
namespace {

constexpr char kName[] = "/SYNCED";  // no name of RocksDB's
constexpr size_t kSize = 32;

// "0000000000001234 89abcdef\n": the number, and its checksum.
std::string Text(uint64_t sequence) {
  const std::string number = fmt::format("{:020}", sequence);
  return fmt::format("{} {:08x}\n", number, Crc32c(number.data(), number.size()));
}

}  // namespace

SyncedMark::SyncedMark(rocksdb::Env* env, const std::string& db_path) : env_(env) {
  const std::string path = db_path + kName;
  if (env->FileExists(path).IsNotFound()) {
    std::unique_ptr<rocksdb::WritableFile> made;
    if (!env->NewWritableFile(path, &made, rocksdb::EnvOptions()).ok() || !made->Close().ok()) return;
  }
  if (!env->NewRandomRWFile(path, &file_, rocksdb::EnvOptions()).ok()) return;
  char text[kSize] = {};
  rocksdb::Slice read;
  if (!file_->Read(0, kSize - 1, &read, text).ok()) return;
  uint64_t sequence = 0;
  std::from_chars(read.data(), read.data() + read.size(), sequence);
  if (Text(sequence) == std::string_view(read.data(), read.size())) sequence_ = sequence;
}

SyncedMark::~SyncedMark() {
  if (file_ != nullptr) (void)file_->Close().ok();
}

void SyncedMark::Note(uint64_t sequence, bool last) {
  if (file_ == nullptr || sequence <= sequence_) return;
  const std::chrono::nanoseconds now(env_->NowNanos());
  if (!last && sequence_ != 0 && now - written_ < kEvery) return;
  // A full disk, perhaps: the older note stays true.
  if (!file_->Write(0, Text(sequence)).ok()) return;
  sequence_ = sequence;
  written_ = now;
}

void SyncedMark::Remove(rocksdb::Env* env, const std::string& db_path) {
  (void)env->DeleteFile(db_path + kName).ok();
}

}  // namespace kfs::meta

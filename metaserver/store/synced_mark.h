// How far a database has been made durable, noted in a file beside it: a log that ends before that has been
// cut, by a disk that lost what it had confirmed or by somebody's hand, and what it lacks was acknowledged.
// (RocksDB takes it for a log that power was cut on.)
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace rocksdb {
class Env;
class RandomRWFile;
}  // namespace rocksdb

namespace kfs::meta {

class SyncedMark {
 public:
  // Of the database in that directory. `env`, whose files and clock these are, outlives it.
  SyncedMark(rocksdb::Env* env, const std::string& db_path);
  ~SyncedMark();
  SyncedMark(const SyncedMark&) = delete;
  SyncedMark& operator=(const SyncedMark&) = delete;

  // 0: nothing is noted, or it cannot be read.
  uint64_t sequence() const { return sequence_; }
  // REQUIRES: all changes up to that number are durable. The note itself need not be: an older one is true,
  // too. Written once a second at most, but for `last`.
  void Note(uint64_t sequence, bool last = false);

  static void Remove(rocksdb::Env* env, const std::string& db_path);

  static constexpr auto kEvery = std::chrono::seconds(1);

 private:
  rocksdb::Env* const env_;
  std::unique_ptr<rocksdb::RandomRWFile> file_;  // null: it cannot be opened
  uint64_t sequence_ = 0;
  std::chrono::nanoseconds written_{};
};

}  // namespace kfs::meta

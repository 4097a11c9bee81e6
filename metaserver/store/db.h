// One RocksDB database and the batch of the current tick. Reads see the batch; Commit appends it to the log
// (not synced) in one piece. Once the log acknowledges it, it is in the database: with RocksDB's own log
// (journal.h) that is when Commit returns. Loop's thread only, but for what says "any thread".
//
// A read that fails is remembered (TakeReadError) and looks like an absent record: whoever runs an op checks
// it before anything is committed.
//
// A write or a sync that fails, and damage (a checksum that is wrong), are not the process's end where the
// database is one of several volumes': damage() tells of it, and whoever serves the volume closes it. After a
// failed write or sync the database is lost(): it takes no more, and what was to be written may not be
// acknowledged (P4). What its log holds is not known then, so this process does not open it again. A failed
// write to any other database ends the process.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "metaserver/store/cold_records.h"
#include "metaserver/store/db_env.h"
#include "metaserver/store/journal.h"

namespace rocksdb {
class DB;
class Status;
class WriteBatch;
}  // namespace rocksdb

namespace kfs::meta {

// What all databases of a process share: memory (block cache and memtables), their surroundings, and which
// of them it does not open any more. Any thread.
class DbMemory {
 public:
  // `env`: what they stand on.
  explicit DbMemory(size_t bytes, DbEnv env = {});
  ~DbMemory();
  size_t used() const;
  const DbEnv& env() const;
  // OK: the log of the database at that path has not failed. Else why it is not opened.
  Status ClosedForGood(const std::string& path) const;

 private:
  friend class Db;
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

constexpr uint32_t kFormatVersion = 1;

class Db {
 public:
  // Opens or creates. Checks kind, format version and feature bits; errors say what to do.
  static Result<std::unique_ptr<Db>> Open(const std::string& path, const std::string& kind, DbMemory& memory);
  ~Db();
  // Removes a closed database.
  static Status Destroy(const std::string& path, const DbEnv& env = {});

  std::optional<std::string> Get(std::string_view key);
  // Whether the last Get failed or found its key cold: absent then means nothing.
  bool unsure() const;
  // While on, Get reads no disk: a key that is not in memory is cold, looks absent and is kept for TakeCold.
  // What ran on such answers is to be undone, and run again after Warm.
  void FromMemoryOnly(bool on);
  std::vector<std::string> TakeCold();
  // For keys that have just been found cold: what Warm reads of them is at hand as long as this is held.
  std::shared_ptr<WantedRecords> NewWanted();
  // Any thread: reads the keys, so that they are in memory: for a while, or as long as somebody wants them.
  void Warm(const std::vector<std::string>& keys);
  void Put(std::string_view key, std::string_view value);
  void Delete(std::string_view key);
  // The same for what may as well stay for a while: it goes with the next batch that is written for another
  // reason, or when kSoonMax deletions, or values of kSoonBytesMax, have gathered.
  void DeleteSoon(std::string_view key);
  void PutSoon(std::string_view key, std::string_view value);
  static constexpr size_t kSoonMax = 1024;
  static constexpr size_t kSoonBytesMax = 1u << 20;

  // Calls fn(key, value) for keys that begin with `prefix`, from `from` on (or the prefix's begin), in order,
  // until it says false. What fn changes it may or may not be shown; it does not commit.
  void Scan(std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view key, std::string_view value)>& fn);

  // Deletes all keys that begin with `prefix`, which is not empty, without a look at how many there are: a
  // range cannot be read through, so it is a batch of its own, written at once. For a database that is being
  // made ready: REQUIRES: nothing waits to be written, soon or with the next Commit.
  void DeleteAll(std::string_view prefix);

  // In place of RocksDB's own log; what it has acknowledged and the database lacks is brought in, and owners
  // of earlier epochs are fenced. REQUIRES: nothing waits to be written.
  Status UseJournal(std::unique_ptr<Journal> journal, LogEpoch epoch);
  // Where the latest batch is in the log, and up to where it has been acknowledged and is in the database.
  LogPosition appended() const { return appended_; }
  LogPosition acknowledged() const { return applied_; }
  bool settled() const { return applied_ == appended_; }
  // Of what is appended and not acknowledged.
  size_t pending_bytes() const;
  // Brings in what the log has acknowledged meanwhile.
  void Advance();
  // `fn`: when Advance has something to do.
  void OnLogChange(std::function<void()> fn);

  bool dirty() const { return dirty_; }
  size_t batch_bytes() const;
  void Commit();
  // Batches written to the log since it was opened.
  uint64_t writes() const { return writes_; }
  uint64_t written_bytes() const { return written_bytes_; }  // of these
  // Whether anything was committed since the last call: it has to be synced.
  bool TakeUnsynced();
  // Any thread: what was committed before the call survives loss of power after it.
  Status Sync();
  // Changes are numbered: the last one when it was opened, and the last one that a Sync has covered since (0:
  // none has). Any thread.
  uint64_t opened_at() const { return opened_at_; }
  uint64_t synced_at() const { return synced_at_.load(std::memory_order_acquire); }

  // Any thread: has what is in memory written to a table in the background, as RocksDB does by itself when
  // there is much of it. For simulations, where the moment has to follow from the seed, and what RocksDB
  // holds for much does not.
  Status StartFlush();

  // Any thread: a copy of what was committed before the call, in a directory that is not there yet; tables
  // are links, and take no room while the database still has them.
  Status Checkpoint(const std::string& dir);

  // What was acknowledged or promised can no longer be kept (P4): ends the process; or, in a simulation, the
  // database is lost() and DbEnv::on_end hears of it.
  void End(const std::string& why);

  // Tells a failed read since the last call, and forgets it.
  Status TakeReadError();

  // Not OK once damage was found, or the log has failed: which file, and what to do.
  const Status& damage() const { return lost() ? why_lost_ : damage_; }
  // It is lost() because its log has failed.
  bool log_failed() const { return lost() && log_failed_; }
  // Any thread.
  bool lost() const { return lost_.load(std::memory_order_acquire); }

  const std::string& path() const { return path_; }

 private:
  friend class DbView;
  struct Impl;
  rocksdb::DB* raw() const;
  Db(std::unique_ptr<Impl> impl, std::string path, std::string kind);
  Status CheckFormat();
  void NoteReadError(const rocksdb::Status& s);
  void Append();  // the batch
  void Forget();
  Status Apply(LogPosition at, rocksdb::WriteBatch* batch);
  // Any thread. `what` could not be done to it.
  void LogFailed(const char* what, const Status& s);

  std::unique_ptr<Impl> impl_;
  const std::string path_, kind_;
  bool dirty_ = false;
  bool unsynced_ = false;
  uint64_t writes_ = 0, written_bytes_ = 0;
  LogPosition appended_, applied_;
  LogEpoch epoch_;
  Status damage_;  // found by a read
  // Set once, before lost_.
  Status why_lost_;
  bool log_failed_ = false;
  std::atomic<bool> lost_{false};
  uint64_t opened_at_ = 0;
  std::atomic<uint64_t> synced_at_{0};
};

}  // namespace kfs::meta

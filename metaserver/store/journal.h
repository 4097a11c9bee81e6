// The log of a database's batches. A batch is appended, and once the journal acknowledges its position
// nothing can take it back: only then may it be in the database and anybody hear of it. What has a position
// and is not acknowledged yet may come to be lost, with everything behind it, when the owner dies or another
// takes over.
//
//   Append(batch) -> position ... acknowledged() >= position -> database, answers, messages, grants
//
// LocalJournal, RocksDB's own log, has acknowledged a batch when Append returns: it survives the death of the
// process; Db::Sync makes it survive loss of power. One that is kept on several machines acknowledges later.
//
// One thread at a time. The first append that fails is the last: failure() tells of it from then on, and what
// is on the disk, or elsewhere, of that batch is not known.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "common/status.h"
#include "common/types.h"

namespace rocksdb {
class DB;
class WriteBatch;
}  // namespace rocksdb

namespace kfs::meta {

using LogPosition = Id<struct LogPositionTag>;  // rises with each batch, not by one; 0: before the first
using LogEpoch = Id<struct LogEpochTag>;        // of who owns the database: rises with each owner

class Journal {
 public:
  virtual ~Journal() = default;

  // Behind all that was appended before. An error is for good; ESTALE: a later owner has fenced this epoch.
  virtual Result<LogPosition> Append(rocksdb::WriteBatch& batch, LogEpoch epoch) = 0;
  // All up to here will stay. Never goes back.
  virtual LogPosition acknowledged() const = 0;
  // Not OK: nothing beyond acknowledged() will be, ever.
  virtual const Status& failure() const = 0;
  // `fn`: whenever either has changed outside of Append, on the thread that appends.
  virtual void OnChange(std::function<void()> fn) = 0;
  // Whether an append has brought the batch into the database, too.
  virtual bool applies() const = 0;

  // Calls fn(position, batch as of rocksdb::WriteBatch::Data) for what was acknowledged behind `after`, in
  // order, until it says false. ESTALE: some of that has been trimmed.
  virtual Status Read(LogPosition after,
                      const std::function<bool(LogPosition, std::string_view batch)>& fn) = 0;
  // Durably: from here on nobody appends with an epoch before this one. ESTALE: a later one was there.
  virtual Status Fence(LogEpoch epoch) = 0;
  // Nobody will read what is up to here. It may be kept all the same, and a journal that knows that the
  // database has it may let it go before it is told.
  virtual Status Trim(LogPosition up_to) = 0;
};

// RocksDB's log, which only the process that has the database open can write: a fence needs no other keeper
// than this object. Positions are RocksDB's sequence numbers. It trims itself, when the tables have what is
// in a log file. Of the thread that owns the database, which outlives it.
class LocalJournal : public Journal {
 public:
  explicit LocalJournal(rocksdb::DB* db);

  Result<LogPosition> Append(rocksdb::WriteBatch& batch, LogEpoch epoch) override;
  LogPosition acknowledged() const override { return acknowledged_; }
  const Status& failure() const override { return failure_; }
  void OnChange(std::function<void()>) override {}  // it never does
  bool applies() const override { return true; }
  Status Read(LogPosition after, const std::function<bool(LogPosition, std::string_view batch)>& fn) override;
  Status Fence(LogEpoch epoch) override;
  Status Trim(LogPosition up_to) override;

 private:
  rocksdb::DB* const db_;
  LogPosition acknowledged_;
  LogEpoch fence_;
  Status failure_;
};

}  // namespace kfs::meta

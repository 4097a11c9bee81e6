#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/transaction_log.h>
#include <rocksdb/write_batch.h>

#include <cerrno>
#include <memory>

#include "metaserver/store/journal.h"

namespace kfs::meta {
namespace {

Status Fenced(LogEpoch epoch, LogEpoch fence) {
  return Status(ESTALE,
                fmt::format("the owner of epoch {} has been followed by that of epoch {}", epoch.v, fence.v));
}

}  // namespace

LocalJournal::LocalJournal(rocksdb::DB* db) : db_(db), acknowledged_(db->GetLatestSequenceNumber()) {}

Result<LogPosition> LocalJournal::Append(rocksdb::WriteBatch& batch, LogEpoch epoch) {
  if (!failure_.ok()) return failure_;
  if (epoch < fence_) return failure_ = Fenced(epoch, fence_);
  const rocksdb::Status s = db_->Write(rocksdb::WriteOptions(), &batch);
  if (s.ok()) return acknowledged_ = LogPosition(db_->GetLatestSequenceNumber());
  // Damage was found in the tables: the log itself is well.
  failure_ = s.IsCorruption() ? Status(EIO, Code::kCorrupt, s.ToString()) : Status(EIO, s.ToString());
  return failure_;
}

Status LocalJournal::Read(LogPosition after, const std::function<bool(LogPosition, std::string_view)>& fn) {
  if (after >= acknowledged_) return {};
  std::unique_ptr<rocksdb::TransactionLogIterator> it;
  rocksdb::Status s = db_->GetUpdatesSince(after.v + 1, &it);
  if (!s.ok()) return Status(s.IsNotFound() ? ESTALE : EIO, "reading the log failed: " + s.ToString());
  LogPosition last = after;
  for (; it->Valid() && last < acknowledged_; it->Next()) {
    const rocksdb::BatchResult got = it->GetBatch();
    const LogPosition position(got.sequence + static_cast<uint64_t>(got.writeBatchPtr->Count()) - 1);
    if (position <= after) continue;
    if (last == after && got.sequence > after.v + 1)
      return Status(ESTALE, fmt::format("the log begins behind {}: it is in the tables", after.v));
    last = position;
    if (!fn(position, got.writeBatchPtr->Data())) return {};
  }
  if (s = it->status(); !s.ok()) return Status(EIO, "reading the log failed: " + s.ToString());
  return last == acknowledged_ ? Status() : Status(ESTALE, "the log is in the tables");
}

Status LocalJournal::Fence(LogEpoch epoch) {
  if (epoch < fence_) return Fenced(epoch, fence_);
  fence_ = epoch;
  return {};
}

Status LocalJournal::Trim(LogPosition) { return {}; }

}  // namespace kfs::meta

// What Db is made of: for its sources alone.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "metaserver/store/cold_records.h"
#include "metaserver/store/db.h"
#include "metaserver/store/db_env.h"
#include "metaserver/store/journal.h"
#include "metaserver/store/log_order.h"
#include "metaserver/store/overlay.h"
#include "metaserver/store/synced_mark.h"

namespace kfs::meta {

// `effect`: what has been done about it.
Status Damaged(const std::string& path, const std::string& kind, const std::string& what,
               const char* effect = "Nothing was changed");

struct DbMemory::Impl {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> buffers;
  DbEnv env;
  mutable std::mutex mutex;
  std::map<std::string, Status> closed;  // by path; guarded by mutex
};

struct Db::Impl {
  explicit Impl(DbEnv handed_in) : given(std::move(handed_in)), env(given.get()) {}
  const DbEnv given;
  LogOrderEnv env;
  std::unique_ptr<rocksdb::DB> db;
  std::unique_ptr<Journal> journal;
  rocksdb::WriteBatch batch;  // empty but for the moment in which it is appended
  Overlay overlay;
  // Appended, and not in the database: one for each sealed layer of the overlay.
  std::deque<std::pair<LogPosition, rocksdb::WriteBatch>> pending;
  size_t soon_count = 0, soon_bytes = 0;  // since the last batch
  rocksdb::Status read_error;
  bool unsure = false;
  bool memory_only = false;
  std::vector<std::string> cold;
  const std::shared_ptr<ColdRecords> records = std::make_shared<ColdRecords>();
  std::mutex sync_mutex;  // of the mark, and of becoming lost: Sync may be called by any thread
  std::unique_ptr<SyncedMark> mark;
  std::shared_ptr<DbMemory::Impl> memory;
};

}  // namespace kfs::meta

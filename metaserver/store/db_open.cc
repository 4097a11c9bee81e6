// How a database is opened, and why it is not.
#include <fmt/format.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/log.h"
#include "common/reached.h"
#include "metaserver/store/db_impl.h"
#include "metaserver/store/features.h"
#include "metaserver/store/insert_hints.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/records.pb.h"
#include "metaserver/store/rocks_log.h"
#include "metaserver/store/wal_check.h"

namespace kfs::meta {

Status Damaged(const std::string& path, const std::string& kind, const std::string& what,
               const char* effect) {
  // A member's record from a copy has forgotten what was promised since: two configurations of one generation
  // would be the consequence.
  const char* next =
      kind == "cluster"
          ? "If other metaservers are there: move the whole data-dir away, start with an empty one, "
            "and run 'kfs peer repair' on another. Do not put an old copy of the directory back"
          : "Restore the volume from a backup (kfs volume restore); do not delete its log files, "
            "they hold acknowledged changes";
  return Status(
      EIO, Code::kCorrupt,
      fmt::format("the metadata in {} is damaged: {}. {}. Check the disk. {}", path, what, effect, next));
}

namespace {

// Whether RocksDB says that the database is open, here or elsewhere. There is no code for it, and an error of
// the disk that meets the file LOCK reads nearly the same; the file itself must not be touched, as closing it
// would drop the lock of a database that this process has open.
bool IsOpenElsewhere(const std::string& words) {
  if (words.find("lock hold by current process") != std::string::npos) return true;
  const auto ends_with = [&](int err) {
    return words.ends_with(std::string("/LOCK: ") + std::strerror(err));
  };
  return words.find("While lock file: ") != std::string::npos && (ends_with(EAGAIN) || ends_with(EACCES));
}

Status Words(const std::string& path, const std::string& kind, const rocksdb::Status& s) {
  if (s.IsCorruption()) return Damaged(path, kind, s.ToString());
  if (s.IsIOError() && IsOpenElsewhere(s.ToString())) {
    return Status(EBUSY, fmt::format("{} is in use by another kfs-metaserver; stop that one first ({})", path,
                                     s.ToString()));
  }
  return Status(EIO, fmt::format("cannot open the metadata in {}: {}", path, s.ToString()));
}

// RocksDB would make it, too, but complains first, and does not make its name durable: with the name all that
// is synced in it later would go when power is lost.
Status MakeDirectory(rocksdb::Env* env, const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
  std::unique_ptr<rocksdb::Directory> dir;
  rocksdb::Status s = env->CreateDirIfMissing(path);
  if (s.ok()) s = env->NewDirectory(parent, &dir);
  if (s.ok()) s = dir->Fsync();
  return s.ok() ? Status() : Status(EIO, fmt::format("cannot make {}: {}", path, s.ToString()));
}

void UseEnv(const DbEnv& env, rocksdb::Options* o) {
  o->env = env.get();
  if (!env.one_thread) return;
  o->max_file_opening_threads = 1;
  o->max_bgerror_resume_count = 0;  // resumes on a thread of its own
  o->db_host_id = "";               // is written to tables
}

}  // namespace

DbMemory::DbMemory(size_t bytes, DbEnv env) : impl_(std::make_shared<Impl>()) {
  impl_->env = std::move(env);
  impl_->cache = rocksdb::NewLRUCache(bytes);
  // Memtables are charged to the cache, so that the sum stays within `bytes`.
  impl_->buffers = std::make_shared<rocksdb::WriteBufferManager>(bytes / 4, impl_->cache);
}
DbMemory::~DbMemory() = default;
size_t DbMemory::used() const { return impl_->cache->GetUsage(); }
const DbEnv& DbMemory::env() const { return impl_->env; }

Status DbMemory::ClosedForGood(const std::string& path) const {
  std::lock_guard lock(impl_->mutex);
  const auto closed = impl_->closed.find(path);
  return closed == impl_->closed.end() ? Status() : closed->second;
}

Result<std::unique_ptr<Db>> Db::Open(const std::string& path, const std::string& kind, DbMemory& memory) {
  KFS_RETURN_IF_ERROR(memory.ClosedForGood(path));
  rocksdb::Options o;
  o.create_if_missing = true;
  // Up to the first record that is not whole, as a loss of power leaves the last one. Damage to what was
  // synced, which this mode would drop, too, is looked for by ourselves: in CheckLogs, and by the mark.
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  o.paranoid_checks = true;
  o.write_buffer_manager = memory.impl_->buffers;
  // A log file takes a little more than this on the disk from the start. The cluster's own records are few.
  o.write_buffer_size = kind == "cluster" ? 1u << 20 : 32u << 20;
  o.max_total_wal_size = 128u << 20;
  if (kind == "volume") o.memtable_insert_with_hint_prefix_extractor = InsertHints();
  o.max_open_files = 128;
  o.max_background_jobs = 2;
  o.compression = rocksdb::kLZ4Compression;
  o.info_log = std::make_shared<RocksLog>(path);
  o.stats_dump_period_sec = 0;
  o.stats_persist_period_sec = 0;
  rocksdb::BlockBasedTableOptions t;
  t.block_cache = memory.impl_->cache;
  t.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  t.cache_index_and_filter_blocks = true;
  t.pin_l0_filter_and_index_blocks_in_cache = true;
  t.format_version = 5;
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(t));
  UseEnv(memory.env(), &o);
  const LogState logs = CheckLogs(o.env, path);
  if (logs == LogState::kDamaged)
    return Damaged(path, kind, "a record of its log is broken, and whole ones lie behind it");
  KFS_RETURN_IF_ERROR(MakeDirectory(o.env, path));
  auto impl = std::make_unique<Impl>(memory.env());
  o.env = &impl->env;
  rocksdb::DB* raw = nullptr;
  rocksdb::Status s = rocksdb::DB::Open(o, path, &raw);
  if (!s.ok()) return Words(path, kind, s);
  impl->db.reset(raw);
  impl->journal = std::make_unique<LocalJournal>(raw);
  impl->memory = memory.impl_;
  auto mark = std::make_unique<SyncedMark>(o.env, path);
  if (const uint64_t there = raw->GetLatestSequenceNumber(); there < mark->sequence()) {
    return Damaged(path, kind,
                   fmt::format("its log ends before what had been made durable, {} changes are missing",
                               mark->sequence() - there),
                   "What is left of it is kept");
  }
  if (logs == LogState::kTorn) {
    KFS_REACHED("store.torn_tail");
    KFS_LOG(warn, "store.torn_tail db={} next=\"opened without the unfinished last write\"", path);
  }
  impl->mark = std::move(mark);
  std::unique_ptr<Db> db(new Db(std::move(impl), path, kind));
  db->opened_at_ = raw->GetLatestSequenceNumber();
  db->appended_ = db->applied_ = db->impl_->journal->acknowledged();
  if (Status f = db->CheckFormat(); !f.ok()) return f;
  return db;
}

Status Db::CheckFormat() {
  rec::Format format;
  std::optional<std::string> stored = Get(FormatKey());
  KFS_RETURN_IF_ERROR(TakeReadError());
  if (!stored) {
    format.set_kind(kind_);
    format.set_version(kFormatVersion);
    Put(FormatKey(), format.SerializeAsString());
    Commit();
    return Sync();
  }
  if (!format.ParseFromString(*stored)) {
    return Status(EIO, Code::kCorrupt, fmt::format("{} does not hold metadata of KFS", path_));
  }
  if (format.kind() != kind_) {
    return Status(EINVAL, fmt::format("{} holds a {} database where a {} database was expected", path_,
                                      format.kind(), kind_));
  }
  if (format.version() > kFormatVersion || format.incompat() != 0 ||
      (format.ro_compat() & ~kRoCompatKnown) != 0) {
    return Status(
        EINVAL,
        fmt::format("{} was written by a newer kfs-metaserver (format {}, features incompat={:#x} "
                    "ro_compat={:#x}; this one knows format {} and ro_compat={:#x}): use the newer program",
                    path_, format.version(), format.incompat(), format.ro_compat(), kFormatVersion,
                    kRoCompatKnown));
  }
  return {};
}

Status Db::Destroy(const std::string& path, const DbEnv& env) {
  SyncedMark::Remove(env.get(), path);
  rocksdb::Options o;
  UseEnv(env, &o);
  rocksdb::Status s = rocksdb::DestroyDB(path, o);
  return s.ok() ? Status() : Status(EIO, fmt::format("cannot remove {}: {}", path, s.ToString()));
}

Status Db::UseJournal(std::unique_ptr<Journal> journal, LogEpoch epoch) {
  assert(impl_->overlay.empty());
  KFS_RETURN_IF_ERROR(journal->Fence(epoch));
  const std::optional<std::string> stored = Get(AppliedKey());
  KFS_RETURN_IF_ERROR(TakeReadError());
  applied_ = LogPosition(stored && stored->size() == 8 ? KeyU64(*stored, 0) : 0);
  Status applied;
  KFS_RETURN_IF_ERROR(journal->Read(applied_, [&](LogPosition at, std::string_view data) {
    rocksdb::WriteBatch batch{std::string(data)};
    applied = Apply(at, &batch);
    return applied.ok();
  }));
  KFS_RETURN_IF_ERROR(applied);
  appended_ = applied_;
  impl_->journal = std::move(journal);
  epoch_ = epoch;
  return {};
}

}  // namespace kfs::meta

#include "metaserver/store/db.h"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <utility>

#include "common/log.h"
#include "metaserver/store/features.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/log_order.h"
#include "metaserver/store/overlay.h"
#include "metaserver/store/records.pb.h"
#include "metaserver/store/rocks_log.h"
#include "metaserver/store/synced_mark.h"
#include "metaserver/store/wal_check.h"

namespace kfs::meta {
namespace {

rocksdb::Slice Slice(std::string_view s) { return {s.data(), s.size()}; }
std::string_view View(const rocksdb::Slice& s) { return {s.data(), s.size()}; }

// What comes behind everything that begins with it; empty: nothing does.
std::string EndOf(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

Status Damaged(const std::string& path, const std::string& kind, const std::string& what,
               const char* effect = "Nothing was changed") {
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

struct DbMemory::Impl {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> buffers;
};

DbMemory::DbMemory(size_t bytes) : impl_(std::make_unique<Impl>()) {
  impl_->cache = rocksdb::NewLRUCache(bytes);
  // Memtables are charged to the cache, so that the sum stays within `bytes`.
  impl_->buffers = std::make_shared<rocksdb::WriteBufferManager>(bytes / 4, impl_->cache);
}
DbMemory::~DbMemory() = default;
size_t DbMemory::used() const { return impl_->cache->GetUsage(); }

struct Db::Impl {
  explicit Impl(DbEnv handed_in) : given(std::move(handed_in)), env(given.get()) {}
  const DbEnv given;
  LogOrderEnv env;
  std::unique_ptr<rocksdb::DB> db;
  rocksdb::WriteBatch batch;  // empty but for the moment in which it is written
  Overlay overlay;
  size_t soon_count = 0, soon_bytes = 0;  // since the last batch
  rocksdb::Status read_error;
  bool write_failed = false;  // RocksDB asserts that nobody syncs such a log
  bool unsure = false;
  bool memory_only = false;
  std::vector<std::string> cold;
  std::mutex mark_mutex;  // of the mark: Sync may be called by any thread
  std::unique_ptr<SyncedMark> mark;
};

Db::Db(std::unique_ptr<Impl> impl, std::string path, std::string kind)
    : impl_(std::move(impl)), path_(std::move(path)), kind_(std::move(kind)) {}

Db::~Db() {
  if (dirty_) Commit();
  if (impl_->db != nullptr) {
    const uint64_t sequence = impl_->db->GetLatestSequenceNumber();
    if (!impl_->write_failed && impl_->db->SyncWAL().ok() && impl_->mark != nullptr)
      impl_->mark->Note(sequence, /*last=*/true);
    (void)impl_->db->Close().ok();
  }
}

Result<std::unique_ptr<Db>> Db::Open(const std::string& path, const std::string& kind, DbMemory& memory,
                                     DbEnv env) {
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
  UseEnv(env, &o);
  const LogState logs = CheckLogs(o.env, path);
  if (logs == LogState::kDamaged)
    return Damaged(path, kind, "a record of its log is broken, and whole ones lie behind it");
  KFS_RETURN_IF_ERROR(MakeDirectory(o.env, path));
  auto impl = std::make_unique<Impl>(std::move(env));
  o.env = &impl->env;
  rocksdb::DB* raw = nullptr;
  rocksdb::Status s = rocksdb::DB::Open(o, path, &raw);
  if (!s.ok()) return Words(path, kind, s);
  impl->db.reset(raw);
  auto mark = std::make_unique<SyncedMark>(o.env, path);
  if (const uint64_t there = raw->GetLatestSequenceNumber(); there < mark->sequence()) {
    return Damaged(path, kind,
                   fmt::format("its log ends before what had been made durable, {} changes are missing",
                               mark->sequence() - there),
                   "What is left of it is kept");
  }
  if (logs == LogState::kTorn)
    KFS_LOG(warn, "store.torn_tail db={} next=\"opened without the unfinished last write\"", path);
  impl->mark = std::move(mark);
  std::unique_ptr<Db> db(new Db(std::move(impl), path, kind));
  db->opened_at_ = raw->GetLatestSequenceNumber();
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

std::optional<std::string> Db::Get(std::string_view key) {
  if (const Overlay::Value* changed = impl_->overlay.Find(key)) {
    impl_->unsure = false;
    return *changed ? std::optional<std::string>(**changed) : std::nullopt;
  }
  std::string value;
  rocksdb::ReadOptions options;
  if (impl_->memory_only) options.read_tier = rocksdb::kBlockCacheTier;
  rocksdb::Status s = impl_->db->Get(options, Slice(key), &value);
  impl_->unsure = !s.ok() && !s.IsNotFound();
  if (s.ok()) return value;
  if (s.IsIncomplete() && impl_->memory_only) {
    impl_->cold.emplace_back(key);
  } else if (!s.IsNotFound()) {
    NoteReadError(s);
  }
  return std::nullopt;
}

bool Db::unsure() const { return impl_->unsure; }
void Db::FromMemoryOnly(bool on) { impl_->memory_only = on; }
std::vector<std::string> Db::TakeCold() { return std::exchange(impl_->cold, {}); }

void Db::Warm(const std::vector<std::string>& keys) {
  rocksdb::PinnableSlice value;
  for (const std::string& key : keys) {
    // A failure shows when the op itself reads.
    (void)impl_->db->Get(rocksdb::ReadOptions(), impl_->db->DefaultColumnFamily(), key, &value).ok();
    value.Reset();
  }
}

void Db::Put(std::string_view key, std::string_view value) {
  impl_->overlay.Put(key, value);
  dirty_ = true;
}

void Db::Delete(std::string_view key) {
  impl_->overlay.Put(key, std::nullopt);
  dirty_ = true;
}

void Db::DeleteSoon(std::string_view key) {
  impl_->overlay.Put(key, std::nullopt);
  if (++impl_->soon_count >= kSoonMax) dirty_ = true;
}

void Db::PutSoon(std::string_view key, std::string_view value) {
  impl_->overlay.Put(key, value);
  impl_->soon_bytes += value.size();
  if (impl_->soon_bytes >= kSoonBytesMax) dirty_ = true;
}

void Db::DeleteAll(std::string_view prefix) {
  assert(!prefix.empty() && impl_->overlay.empty());
  if (!impl_->batch.DeleteRange(Slice(prefix), EndOf(prefix)).ok()) std::abort();
  Write();
}

void Db::Scan(std::string_view prefix, std::string_view from,
              const std::function<bool(std::string_view, std::string_view)>& fn) {
  const std::string begin(from.empty() ? prefix : from), end = EndOf(prefix);
  rocksdb::ReadOptions options;
  rocksdb::Slice bound(end);
  if (!end.empty()) options.iterate_upper_bound = &bound;
  std::unique_ptr<rocksdb::Iterator> it(impl_->db->NewIterator(options));
  Overlay::Cursor changed(impl_->overlay, begin, end);
  it->Seek(begin);
  for (bool more = true; more && (changed.valid() || it->Valid());) {
    const bool is_changed = changed.valid() && (!it->Valid() || changed.key() <= View(it->key()));
    if (!is_changed) {
      more = fn(View(it->key()), View(it->value()));
      it->Next();
      continue;
    }
    if (it->Valid() && changed.key() == View(it->key())) it->Next();
    if (changed.value()) more = fn(changed.key(), *changed.value());
    changed.Next();
  }
  if (!it->status().ok()) NoteReadError(it->status());
}

void Db::NoteReadError(const rocksdb::Status& s) {
  KFS_LOG(error, "store.read_failed db={} error=\"{}\"", path_, s.ToString());
  impl_->read_error = s;
  if (s.IsCorruption() && damage_.ok()) damage_ = Damaged(path_, kind_, s.ToString());
}

size_t Db::batch_bytes() const { return impl_->overlay.open_bytes(); }

void Db::Commit() {
  if (!dirty_) return;
  impl_->overlay.ForEachOpen([this](std::string_view key, Overlay::Value value) {
    rocksdb::Status s = value ? impl_->batch.Put(Slice(key), Slice(*value)) : impl_->batch.Delete(Slice(key));
    if (!s.ok()) std::abort();
  });
  Write();
  impl_->overlay.Clear();
  impl_->soon_count = impl_->soon_bytes = 0;
  dirty_ = false;
}

void Db::Write() {
  if (!lost()) ++writes_;
  rocksdb::Status s = lost() ? rocksdb::Status() : impl_->db->Write(rocksdb::WriteOptions(), &impl_->batch);
  if (s.IsCorruption() && kind_ == "volume") {
    // RocksDB has found it in the background, and takes nothing from there on.
    KFS_LOG(error, "store.write_refused db={} error=\"{}\"", path_, s.ToString());
    if (damage_.ok()) damage_ = Damaged(path_, kind_, s.ToString());
    lost_.store(true, std::memory_order_release);
  } else if (!s.ok()) {
    KFS_LOG(critical, "store.write_failed db={} error=\"{}\": stopping, nothing acknowledged is lost", path_,
            s.ToString());
    if (!impl_->given.on_end) {
      spdlog::shutdown();
      std::_Exit(1);
    }
    impl_->write_failed = true;
    damage_ = Status(EIO, fmt::format("writing to {} failed: {}", path_, s.ToString()));
    lost_.store(true, std::memory_order_release);
    impl_->given.on_end(s.ToString());
  }
  impl_->batch.Clear();
  unsynced_ = true;
}

rocksdb::DB* Db::raw() const { return impl_->db.get(); }

bool Db::TakeUnsynced() { return std::exchange(unsynced_, false); }

Status Db::Sync() {
  if (lost()) return damage_;
  const uint64_t sequence = impl_->db->GetLatestSequenceNumber();
  rocksdb::Status s = impl_->db->SyncWAL();
  if (!s.ok()) return Status(EIO, fmt::format("syncing {} failed: {}", path_, s.ToString()));
  std::lock_guard lock(impl_->mark_mutex);
  impl_->mark->Note(sequence);
  synced_at_.store(std::max(synced_at(), sequence), std::memory_order_release);
  return {};
}

Status Db::StartFlush() {
  rocksdb::FlushOptions options;
  options.wait = false;
  options.allow_write_stall = true;  // else it would wait for an earlier one
  rocksdb::Status s = impl_->db->Flush(options);
  return s.ok() ? Status() : Status(EIO, fmt::format("flushing {} failed: {}", path_, s.ToString()));
}

Status Db::Checkpoint(const std::string& dir) {
  rocksdb::Checkpoint* made = nullptr;
  rocksdb::Status s = rocksdb::Checkpoint::Create(impl_->db.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  const uint64_t log_to_flush = impl_->given.one_thread ? UINT64_MAX : 0;
  if (s.ok()) s = checkpoint->CreateCheckpoint(dir, log_to_flush);
  if (!s.ok()) return Status(EIO, fmt::format("cannot copy the metadata to {}: {}", dir, s.ToString()));
  return {};
}

Status Db::TakeReadError() {
  const rocksdb::Status s = std::exchange(impl_->read_error, rocksdb::Status::OK());
  if (s.ok()) return {};
  if (s.IsCorruption()) return Damaged(path_, kind_, s.ToString());
  return Status(EIO, fmt::format("reading the metadata failed: {}", s.ToString()));
}

}  // namespace kfs::meta

#include "metaserver/store/db.h"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/utilities/checkpoint.h>

#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <utility>

#include "common/log.h"
#include "metaserver/store/db_impl.h"
#include "metaserver/store/insert_hints.h"
#include "metaserver/store/keys.h"

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

rocksdb::Status AsOfRocks(const Status& s) {
  return s.code() == Code::kCorrupt ? rocksdb::Status::Corruption(s.message())
                                    : rocksdb::Status::IOError(s.message());
}

// As numbers in keys.
std::string AppliedValue(LogPosition at) { return Key('L').U64(at.v).str().substr(1); }

}  // namespace

Db::Db(std::unique_ptr<Impl> impl, std::string path, std::string kind)
    : impl_(std::move(impl)), path_(std::move(path)), kind_(std::move(kind)) {}

Db::~Db() {
  if (dirty_) Commit();
  if (impl_->db != nullptr) {
    const uint64_t sequence = impl_->db->GetLatestSequenceNumber();
    if (!lost() && impl_->db->SyncWAL().ok() && impl_->mark != nullptr)
      impl_->mark->Note(sequence, /*last=*/true);
    (void)impl_->db->Close().ok();
  }
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
    if (std::optional<ColdRecords::Record> read = impl_->records->Find(key)) {
      impl_->unsure = !read->status.ok();
      if (impl_->unsure) NoteReadError(AsOfRocks(read->status));
      return std::move(read->value);
    }
    impl_->cold.emplace_back(key);
  } else if (!s.IsNotFound()) {
    NoteReadError(s);
  }
  return std::nullopt;
}

bool Db::unsure() const { return impl_->unsure; }
void Db::FromMemoryOnly(bool on) { impl_->memory_only = on; }
std::vector<std::string> Db::TakeCold() { return std::exchange(impl_->cold, {}); }

std::shared_ptr<WantedRecords> Db::NewWanted() { return std::make_shared<WantedRecords>(impl_->records); }

void Db::Warm(const std::vector<std::string>& keys) {
  impl_->records->Read(keys, [this](const std::string& key) {
    ColdRecords::Record record;
    std::string value;
    const rocksdb::Status s = impl_->db->Get(rocksdb::ReadOptions(), Slice(key), &value);
    if (s.ok()) {
      record.value = std::move(value);
    } else if (!s.IsNotFound()) {
      // Told to whoever wants it.
      record.status =
          s.IsCorruption() ? Status(EIO, Code::kCorrupt, s.ToString()) : Status(EIO, s.ToString());
    }
    return record;
  });
}

void Db::Put(std::string_view key, std::string_view value) {
  impl_->records->Changed(key);
  impl_->overlay.Put(key, value);
  dirty_ = true;
}

void Db::Delete(std::string_view key) {
  impl_->records->Changed(key);
  impl_->overlay.Put(key, std::nullopt);
  dirty_ = true;
}

void Db::DeleteSoon(std::string_view key) {
  impl_->records->Changed(key);
  impl_->overlay.Put(key, std::nullopt);
  if (++impl_->soon_count >= kSoonMax) dirty_ = true;
}

void Db::PutSoon(std::string_view key, std::string_view value) {
  impl_->records->Changed(key);
  impl_->overlay.Put(key, value);
  impl_->soon_bytes += value.size();
  if (impl_->soon_bytes >= kSoonBytesMax) dirty_ = true;
}

void Db::DeleteAll(std::string_view prefix) {
  assert(!prefix.empty() && impl_->overlay.empty());
  if (HasInsertHint(prefix) || !impl_->batch.DeleteRange(Slice(prefix), EndOf(prefix)).ok()) std::abort();
  Append();
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

size_t Db::pending_bytes() const { return impl_->overlay.sealed_bytes(); }
void Db::OnLogChange(std::function<void()> fn) { impl_->journal->OnChange(std::move(fn)); }
size_t Db::batch_bytes() const { return impl_->overlay.open_bytes(); }

void Db::Commit() {
  if (!dirty_) return;
  impl_->overlay.ForEachOpen([this](std::string_view key, Overlay::Value value) {
    rocksdb::Status s = value ? impl_->batch.Put(Slice(key), Slice(*value)) : impl_->batch.Delete(Slice(key));
    if (!s.ok()) std::abort();
  });
  Append();
  impl_->soon_count = impl_->soon_bytes = 0;
  dirty_ = false;
}

void Db::Append() {
  if (!lost()) {
    ++writes_;
    written_bytes_ += impl_->batch.GetDataSize();
    Result<LogPosition> at = impl_->journal->Append(impl_->batch, epoch_);
    if (at.ok()) {
      appended_ = *at;
    } else {
      LogFailed("written", at.status());
    }
  }
  if (lost()) {
    Forget();
  } else if (impl_->journal->applies()) {
    applied_ = appended_;
    unsynced_ = true;
    impl_->overlay.Clear();
  } else {
    impl_->overlay.Seal();
    impl_->pending.emplace_back(appended_, std::move(impl_->batch));
    Advance();
  }
  impl_->batch.Clear();
  if (impl_->given.flush_now && !lost() && impl_->given.flush_now()) (void)StartFlush();
}

void Db::Advance() {
  while (!lost() && !impl_->pending.empty() &&
         impl_->pending.front().first <= impl_->journal->acknowledged()) {
    auto& [at, batch] = impl_->pending.front();
    if (Status s = Apply(at, &batch); !s.ok()) {
      LogFailed("brought into the database", s);
      break;
    }
    impl_->pending.pop_front();
    impl_->overlay.DropOldest();
  }
  if (!lost() && !impl_->journal->failure().ok()) LogFailed("written", impl_->journal->failure());
  if (lost()) Forget();
}

// Nobody may be told of what was not stored, so nobody reads it, either.
void Db::Forget() {
  impl_->pending.clear();
  impl_->overlay.Clear();
}

Status Db::Apply(LogPosition at, rocksdb::WriteBatch* batch) {
  if (!batch->Put(AppliedKey().str(), AppliedValue(at)).ok()) std::abort();
  if (rocksdb::Status s = impl_->db->Write(rocksdb::WriteOptions(), batch); !s.ok())
    return s.IsCorruption() ? Status(EIO, Code::kCorrupt, s.ToString()) : Status(EIO, s.ToString());
  applied_ = at;
  unsynced_ = true;
  return {};
}

void Db::LogFailed(const char* what, const Status& s) {
  if (kind_ != "volume") {
    KFS_LOG(critical, "store.write_failed db={} error=\"{}\": stopping, nothing acknowledged is lost", path_,
            s.message());
    return End(s.message());
  }
  std::lock_guard lock(impl_->sync_mutex);
  if (lost()) return;
  if (s.code() == Code::kCorrupt) {
    // RocksDB has found it in the background, and takes nothing from there on.
    KFS_LOG(error, "store.write_refused db={} error=\"{}\"", path_, s.message());
    why_lost_ = damage_.ok() ? Damaged(path_, kind_, s.message()) : damage_;
  } else {
    why_lost_ = Status(
        EAGAIN, Code::kTryAgain,
        fmt::format(
            "the log of the metadata in {} could not be {}: {}. What the disk has of the latest changes "
            "is not known, so it is not opened again in this process; what fsync has confirmed is "
            "there. Look at the disk and at its room, then restart kfs-metaserver: mounts wait",
            path_, what, s.message()));
    KFS_LOG(error, "store.log_failed db={} reason=\"{}\"", path_, why_lost_.message());
    std::lock_guard closed(impl_->memory->mutex);
    impl_->memory->closed.emplace(path_, why_lost_);
    log_failed_ = true;
  }
  lost_.store(true, std::memory_order_release);
}

void Db::End(const std::string& why) {
  why_lost_ = Status(EIO, fmt::format("writing to {} failed: {}", path_, why));
  lost_.store(true, std::memory_order_release);
  impl_->given.End(why);
}

rocksdb::DB* Db::raw() const { return impl_->db.get(); }

bool Db::TakeUnsynced() { return std::exchange(unsynced_, false); }

Status Db::Sync() {
  if (lost()) return damage();
  const uint64_t sequence = impl_->db->GetLatestSequenceNumber();
  if (rocksdb::Status s = impl_->db->SyncWAL(); !s.ok()) {
    if (kind_ != "volume") return Status(EIO, fmt::format("syncing {} failed: {}", path_, s.ToString()));
    // A second sync might say that all is well of what the first has dropped.
    LogFailed("synced", Status(EIO, s.ToString()));
    return damage();
  }
  std::lock_guard lock(impl_->sync_mutex);
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

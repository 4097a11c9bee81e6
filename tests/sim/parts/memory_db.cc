#include "tests/sim/parts/memory_db.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <set>
#include <utility>

#include "metaserver/store/db.h"
#include "metaserver/store/db_view.h"
#include "metaserver/store/overlay.h"
#include "tests/sim/disk/hash.h"

namespace kfs::sim {
namespace {

constexpr uint64_t kColdOneOf = 4;

// How a DbMemory knows which disks are meant.
struct OnDisks {
  MemoryDisks* disks;
  void operator()(const std::string&) const { std::abort(); }  // these fail never
};

void Apply(const MemoryDisks::Batch& batch, MemoryDisks::Content* content) {
  for (const auto& [key, value] : batch) {
    if (value) {
      (*content)[key] = *value;
    } else {
      content->erase(key);
    }
  }
}

}  // namespace

std::optional<std::string> MemoryDisks::Disk::Find(const std::string& key) const {
  std::optional<std::string> found;
  if (const auto it = synced.find(key); it != synced.end()) found = it->second;
  for (const Batch& batch : log) {
    for (const auto& [changed, value] : batch) {
      if (changed == key) found = value;
    }
  }
  return found;
}

meta::DbEnv MemoryDisks::Env() { return {.one_thread = true, .on_end = OnDisks{this}}; }

void MemoryDisks::Acknowledge(Disk& disk, uint64_t up_to) {
  disk.acknowledged = std::max(disk.acknowledged, std::min(up_to, disk.written));
  if (disk.changed) disk.changed();
}

void MemoryDisks::Ended(bool power, const std::function<uint64_t()>& draw) {
  stopped_ = false;
  for (auto& [path, disk] : disks_) {
    disk.changed = nullptr;
    // A log elsewhere does not lose with our power what it has acknowledged.
    const size_t pending = disk.written - disk.acknowledged;
    const size_t at_stake = power && !acknowledge_later ? disk.log.size() : pending;
    const size_t lost = at_stake == 0 ? 0 : draw() % (at_stake + 1);
    disk.log.resize(disk.log.size() - lost);
    disk.written -= lost;
    disk.acknowledged = disk.written;
  }
}

}  // namespace kfs::sim

// ---- the classes of metaserver/store that stand on RocksDB

namespace kfs::meta {

using sim::MemoryDisks;

struct DbMemory::Impl {
  DbEnv env;
  MemoryDisks* disks = nullptr;
};

DbMemory::DbMemory(size_t, DbEnv env) : impl_(std::make_shared<Impl>()) {
  impl_->env = std::move(env);
  impl_->disks = impl_->env.on_end.target<sim::OnDisks>()->disks;
}
DbMemory::~DbMemory() = default;
const DbEnv& DbMemory::env() const { return impl_->env; }

struct Db::Impl {
  Impl(MemoryDisks& all, MemoryDisks::Disk& one) : disks(all), disk(one) {}
  MemoryDisks& disks;
  MemoryDisks::Disk& disk;
  MemoryDisks::Content content;
  Overlay overlay;
  std::deque<std::pair<LogPosition, MemoryDisks::Batch>> pending;
  size_t soon_count = 0, soon_bytes = 0;
  bool unsure = false, memory_only = false;
  std::vector<std::string> cold;
  std::set<std::string, std::less<>> warm;
  const std::shared_ptr<ColdRecords> records = std::make_shared<ColdRecords>();

  // Every other one is dropped from memory as soon as it has been read or written.
  bool IsCold(std::string_view key) const {
    const uint64_t drawn = sim::HashMore(sim::kHashSeed ^ disks.salt, key);
    if (!memory_only || drawn % sim::kColdOneOf != 0) return false;
    return drawn / sim::kColdOneOf % 2 == 0 || !warm.contains(key);
  }
};

Db::Db(std::unique_ptr<Impl> impl, std::string path, std::string kind)
    : impl_(std::move(impl)), path_(std::move(path)), kind_(std::move(kind)) {}

Db::~Db() {
  if (dirty_) Commit();
  (void)Sync();  // of no effect where the process was killed
  impl_->disk.changed = nullptr;
}

Result<std::unique_ptr<Db>> Db::Open(const std::string& path, const std::string& kind, DbMemory& memory) {
  MemoryDisks& disks = *memory.impl_->disks;
  auto impl = std::make_unique<Impl>(disks, disks.Of(path));
  impl->content = impl->disk.synced;
  for (const auto& batch : impl->disk.log) sim::Apply(batch, &impl->content);
  std::unique_ptr<Db> db(new Db(std::move(impl), path, kind));
  db->opened_at_ = db->impl_->disk.written;
  db->appended_ = db->applied_ = LogPosition(db->impl_->disk.written);
  return db;
}

std::optional<std::string> Db::Get(std::string_view key) {
  impl_->unsure = false;
  if (const Overlay::Value* changed = impl_->overlay.Find(key))
    return *changed ? std::optional<std::string>(**changed) : std::nullopt;
  if (impl_->IsCold(key)) {
    if (std::optional<ColdRecords::Record> read = impl_->records->Find(key)) return std::move(read->value);
    impl_->unsure = true;
    impl_->cold.emplace_back(key);
    return std::nullopt;
  }
  const auto it = impl_->content.find(key);
  return it == impl_->content.end() ? std::nullopt : std::optional(it->second);
}

bool Db::unsure() const { return impl_->unsure; }
void Db::FromMemoryOnly(bool on) { impl_->memory_only = on; }
std::vector<std::string> Db::TakeCold() { return std::exchange(impl_->cold, {}); }
std::shared_ptr<WantedRecords> Db::NewWanted() { return std::make_shared<WantedRecords>(impl_->records); }
void Db::Warm(const std::vector<std::string>& keys) {
  impl_->warm.insert(keys.begin(), keys.end());
  impl_->records->Read(keys, [this](const std::string& key) {
    const auto it = impl_->content.find(key);
    return ColdRecords::Record{.value =
                                   it == impl_->content.end() ? std::nullopt : std::optional(it->second)};
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

void Db::Scan(std::string_view prefix, std::string_view from,
              const std::function<bool(std::string_view, std::string_view)>& fn) {
  // Few records: those of the batch are brought together with the others.
  std::map<std::string, std::string> all;
  const std::string begin(from.empty() ? prefix : from);
  for (auto it = impl_->content.lower_bound(begin);
       it != impl_->content.end() && it->first.starts_with(prefix); ++it)
    all.insert(*it);
  for (Overlay::Cursor changed(impl_->overlay, begin, {});
       changed.valid() && changed.key().starts_with(prefix); changed.Next()) {
    if (changed.value()) {
      all[std::string(changed.key())] = *changed.value();
    } else {
      all.erase(std::string(changed.key()));
    }
  }
  for (const auto& [key, value] : all) {
    if (!fn(key, value)) break;
  }
}

size_t Db::pending_bytes() const { return impl_->overlay.sealed_bytes(); }
void Db::OnLogChange(std::function<void()> fn) { impl_->disk.changed = std::move(fn); }
size_t Db::batch_bytes() const { return impl_->overlay.open_bytes(); }

void Db::Commit() {
  if (!dirty_) return;
  MemoryDisks::Batch batch;
  impl_->overlay.ForEachOpen([&](std::string_view key, Overlay::Value value) {
    batch.emplace_back(key, value ? std::optional<std::string>(*value) : std::nullopt);
    impl_->warm.emplace(key);
  });
  impl_->soon_count = impl_->soon_bytes = 0;
  dirty_ = false;
  ++writes_;
  MemoryDisks& disks = impl_->disks;
  MemoryDisks::Disk& disk = impl_->disk;
  // What a process does that has been stopped goes on in its memory only.
  const bool was_stopped = disks.stopped();
  const bool stays = !was_stopped && (kind_ != "volume" || !disks.before_write || disks.before_write(disk));
  if (stays) {
    disk.log.push_back(batch);
    ++disk.written;
  }
  appended_ = LogPosition(appended_.v + 1);
  if (kind_ == "volume" && disks.acknowledge_later) {
    impl_->overlay.Seal();
    impl_->pending.emplace_back(appended_, std::move(batch));
    if (stays && !disks.stopped()) disks.acknowledge_later(disk, disk.written);
    return Advance();
  }
  if (stays) disk.acknowledged = disk.written;
  sim::Apply(batch, &impl_->content);
  impl_->overlay.Clear();
  applied_ = appended_;
  unsynced_ = true;
}

void Db::Advance() {
  while (!impl_->pending.empty() && impl_->pending.front().first.v <= impl_->disk.acknowledged) {
    sim::Apply(impl_->pending.front().second, &impl_->content);
    applied_ = impl_->pending.front().first;
    unsynced_ = true;
    impl_->pending.pop_front();
    impl_->overlay.DropOldest();
  }
}

bool Db::TakeUnsynced() { return std::exchange(unsynced_, false); }

Status Db::Sync() {
  MemoryDisks::Disk& disk = impl_->disk;
  if (impl_->disks.stopped() || impl_->disks.sync_lies) return {};
  while (!disk.log.empty() && disk.written - disk.log.size() < applied_.v) {
    sim::Apply(disk.log.front(), &disk.synced);
    disk.log.pop_front();
  }
  synced_at_.store(applied_.v);
  return {};
}

void Db::End(const std::string& why) { impl_->disks.Env().End(why); }
Status Db::TakeReadError() { return {}; }

// A worker's turn is over before anything else runs, so a view need keep nothing. What looks through whole
// databases is no part of a protocol here.
struct DbView::Impl {
  explicit Impl(const Db& of) : db(of) {}
  const Db& db;
};
DbView::DbView(const Db& db) : impl_(std::make_unique<Impl>(db)) {}
DbView::~DbView() = default;
std::optional<std::string> DbView::Get(std::string_view key) {
  const Db::Impl& of = *impl_->db.impl_;
  const auto it = of.content.find(key);
  return it == of.content.end() ? std::nullopt : std::optional(it->second);
}
void DbView::Scan(std::string_view, std::string_view,
                  const std::function<bool(std::string_view, std::string_view)>&) {
  std::abort();
}

void DbEnv::End(const std::string& why) const { on_end(why); }

}  // namespace kfs::meta

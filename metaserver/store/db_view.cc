#include "metaserver/store/db_view.h"

#include <fmt/format.h>
#include <rocksdb/db.h>

#include "metaserver/store/db.h"

namespace kfs::meta {

struct DbView::Impl {
  explicit Impl(rocksdb::DB* d) : db(d), snapshot(d->GetSnapshot()) {}
  ~Impl() { db->ReleaseSnapshot(snapshot); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  rocksdb::ReadOptions Options() const {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot;
    options.fill_cache = false;
    return options;
  }

  rocksdb::DB* const db;
  const rocksdb::Snapshot* const snapshot;
};

DbView::DbView(const Db& db) : impl_(std::make_unique<Impl>(db.raw())) {}
DbView::~DbView() = default;

std::optional<std::string> DbView::Get(std::string_view key) {
  std::string value;
  const rocksdb::Status s = impl_->db->Get(impl_->Options(), rocksdb::Slice(key.data(), key.size()), &value);
  if (s.ok()) return value;
  if (!s.IsNotFound() && status_.ok())
    status_ = Status(EIO, fmt::format("reading the metadata failed: {}", s.ToString()));
  return std::nullopt;
}

void DbView::Scan(std::string_view prefix, std::string_view from,
                  const std::function<bool(std::string_view, std::string_view)>& fn) {
  const std::string_view begin = from.empty() ? prefix : from;
  const std::unique_ptr<rocksdb::Iterator> it(impl_->db->NewIterator(impl_->Options()));
  for (it->Seek(rocksdb::Slice(begin.data(), begin.size())); it->Valid(); it->Next()) {
    const std::string_view key(it->key().data(), it->key().size());
    if (!key.starts_with(prefix) || !fn(key, {it->value().data(), it->value().size()})) break;
  }
  if (!it->status().ok() && status_.ok())
    status_ = Status(EIO, fmt::format("reading the metadata failed: {}", it->status().ToString()));
}

}  // namespace kfs::meta

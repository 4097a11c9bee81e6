#include "metaserver/store/cold_records.h"

#include <utility>

namespace kfs::meta {

void ColdRecords::Want(const std::string& key) {
  std::lock_guard lock(mutex_);
  Wanted& w = wanted_[key];
  if (w.users++ == 0) w.version = ++versions_;
  w.changed = false;
}

void ColdRecords::Unwant(const std::string& key) {
  std::lock_guard lock(mutex_);
  const auto it = wanted_.find(key);
  if (--it->second.users == 0) wanted_.erase(it);
}

void ColdRecords::Changed(std::string_view key) {
  if (empty()) return;  // almost always
  std::lock_guard lock(mutex_);
  const auto it = wanted_.find(key);
  if (it == wanted_.end()) return;
  it->second.changed = true;
  it->second.version = ++versions_;
  it->second.record.reset();
}

std::optional<ColdRecords::Record> ColdRecords::Find(std::string_view key) const {
  if (empty()) return {};
  std::lock_guard lock(mutex_);
  const auto it = wanted_.find(key);
  return it == wanted_.end() ? std::nullopt : it->second.record;
}

void ColdRecords::Read(const std::vector<std::string>& keys,
                       const std::function<Record(const std::string& key)>& fetch) {
  for (const std::string& key : keys) {
    uint64_t version = 0;  // nobody wants it, or not as it is in the database now
    {
      std::lock_guard lock(mutex_);
      const auto it = wanted_.find(key);
      if (it != wanted_.end() && !it->second.changed) version = it->second.version;
    }
    Record record = fetch(key);
    std::lock_guard lock(mutex_);
    const auto it = wanted_.find(key);
    if (it != wanted_.end() && it->second.version == version) it->second.record = std::move(record);
  }
}

WantedRecords::~WantedRecords() {
  for (const std::string& key : keys_) records_->Unwant(key);
}

bool WantedRecords::Add(const std::vector<std::string>& keys) {
  bool more = false;
  for (const std::string& key : keys) {
    records_->Want(key);  // once more: as it is now
    if (keys_.insert(key).second) {
      more = true;
    } else {
      records_->Unwant(key);
    }
  }
  return more;
}

}  // namespace kfs::meta

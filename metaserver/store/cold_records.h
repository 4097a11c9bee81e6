// Records that runs have found on disk instead of in memory. A thread reads them; what it has read stays at hand for
// as long as somebody who has asked for it has not run to the end, however small the cache is and whatever else is
// read meanwhile. So each run of an op comes further than the one before it, and none needs the disk itself.
//
// A record that is changed in between is no longer at hand: the change is in the database's memory. The methods are
// for the loop's thread, but for Read. Takes as much memory as the calls that wait (Executor bounds these) have asked
// for.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace kfs::meta {

class ColdRecords {
 public:
  struct Record {
    Status status;
    std::optional<std::string> value;  // none: it is absent
  };

  // REQUIRES: no change of the key waits to be written.
  void Want(const std::string& key);
  void Unwant(const std::string& key);
  void Changed(std::string_view key);
  // None: it is not at hand.
  std::optional<Record> Find(std::string_view key) const;
  bool empty() const { return wanted_.empty(); }

  // Any thread: `fetch` is called for each key; what it gives stays if somebody wants it.
  void Read(const std::vector<std::string>& keys, const std::function<Record(const std::string& key)>& fetch);

 private:
  struct Wanted {
    int users = 0;
    // Changed since it was asked for: the database may not have the change yet, so that it is not to be read.
    bool changed = false;
    uint64_t version = 0;  // another one after each change: what was being read then does not count
    std::optional<Record> record;
  };
  // Of the loop's thread, which alone adds and removes; what is in them is guarded by mutex_.
  std::map<std::string, Wanted, std::less<>> wanted_;
  mutable std::mutex mutex_;
  uint64_t versions_ = 0;  // guarded by mutex_
};

// What one call has asked for. May outlive the database.
class WantedRecords {
 public:
  explicit WantedRecords(std::shared_ptr<ColdRecords> records) : records_(std::move(records)) {}
  ~WantedRecords();
  WantedRecords(const WantedRecords&) = delete;
  WantedRecords& operator=(const WantedRecords&) = delete;

  // False: it had asked for all of them before.
  bool Add(const std::vector<std::string>& keys);

 private:
  const std::shared_ptr<ColdRecords> records_;
  std::set<std::string> keys_;
};

}  // namespace kfs::meta

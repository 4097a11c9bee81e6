// What a database held at one moment, for a thread that looks through much of it while the loop's thread goes
// on. Made and used by any one thread; the database outlives it (JobThread::Forget before it is closed).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"

namespace kfs::meta {

class Db;

class DbView {
 public:
  // What was committed before the call. It keeps what is overwritten meanwhile on the disk: for seconds only.
  explicit DbView(const Db& db);
  ~DbView();
  DbView(const DbView&) = delete;
  DbView& operator=(const DbView&) = delete;

  std::optional<std::string> Get(std::string_view key);
  // Calls fn(key, value) for keys that begin with `prefix`, from `from` on (or the prefix's begin), in order,
  // until it says false. What is read does not push anything else out of memory.
  void Scan(std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view key, std::string_view value)>& fn);
  // Of the first read that has failed: what was found since may lack something.
  const Status& status() const { return status_; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  Status status_;
};

}  // namespace kfs::meta

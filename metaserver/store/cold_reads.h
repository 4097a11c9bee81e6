// Reads from disk what an op did not find in memory, on a thread of its own, so that the ops behind it do not
// wait for the disk, too. The methods are for the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "metaserver/store/db.h"

namespace kfs::meta {

class ColdReads {
 public:
  // `post` runs a function on the loop's thread.
  explicit ColdReads(std::function<void(std::function<void()>)> post);
  ~ColdReads();  // what waits is dropped, and nobody told

  // `done` is posted once the keys are in memory. The caller bounds how many wait: each is a parked call.
  void Fetch(Db* db, std::vector<std::string> keys, std::function<void()> done);
  // Returns when the database is no longer being read; what waits for it is dropped.
  void Remove(Db* db);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kfs::meta

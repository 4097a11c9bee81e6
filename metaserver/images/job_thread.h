// A thread for work on files that would keep the loop waiting: one job after another. The methods are for the
// loop's thread.
#pragma once

#include <functional>
#include <memory>

#include "common/status.h"

namespace kfs::meta {

class JobThread {
 public:
  // `post` runs a function on the loop's thread.
  explicit JobThread(std::function<void(std::function<void()>)> post);
  ~JobThread();  // ends the running job; what waits is dropped, and nobody told

  // `work` runs on the thread, then `done` on the loop. `uses`: what it works on, may be null.
  void Do(const void* uses, std::function<Status()> work, std::function<void(const Status&)> done);
  // Returns when no job uses it any more; those that waited end with ECANCELED.
  void Forget(const void* uses);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kfs::meta

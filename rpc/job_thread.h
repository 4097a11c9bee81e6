// A thread for what would keep the loop waiting: work on files, reads of what is not in memory. One job after
// another, or some at once. The methods are for the loop's thread.
#pragma once

#include <functional>
#include <memory>

#include "common/status.h"
#include "rpc/event_loop.h"
#include "rpc/workers.h"

namespace kfs {

class JobThread {
 public:
  // `post` runs a function on the loop's thread. With more than one worker jobs end in any order.
  JobThread(std::function<void(std::function<void()>)> post, std::unique_ptr<Workers> workers);
  // The loop's own; shown as `name` (at most 15 characters).
  JobThread(EventLoop& loop, const char* name, int at_once = 1);
  ~JobThread();  // ends what runs; what waits is dropped, and nobody told

  // `work` runs on the thread, then `done` on the loop. `uses`: what it works on, may be null. The caller
  // bounds how many wait.
  void Do(const void* uses, std::function<Status()> work, std::function<void(const Status&)> done);
  // Returns when no job uses it any more; those that waited end with ECANCELED.
  void Forget(const void* uses);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kfs

// Threads for calls that may wait for a disk. Submit from the loop's thread only: functions that share a key
// run one after the other, in order, so that a slow chunk occupies one thread at most. Results come back with
// EventLoop::Post.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>

#include "chunkserver/format.h"
#include "common/lifetime.h"
#include "rpc/event_loop.h"
#include "rpc/workers.h"

namespace kfs {

class IoPool {
 public:
  using Work = std::function<void()>;
  // Bound of what waits: the servers' connections hold back senders long before (kOpsInFlightMax each).
  static constexpr size_t kWaitingMax = 32768;

  IoPool(EventLoop& loop, size_t threads);
  ~IoPool();  // what waits is dropped; what runs is waited for

  // `work` on a pool thread, then `done` on the loop's. False: too much is waiting, nothing will run.
  bool Submit(std::optional<ChunkKey> key, Work work, Work done);
  // Something is waiting or running under this key.
  bool Busy(ChunkKey key) const { return lanes_.contains(key); }
  size_t waiting() const { return waiting_; }
  void Stop();

 private:
  struct Task {
    std::optional<ChunkKey> key;
    Work work, done;
  };
  void Push(Task task);
  void Finished(const std::shared_ptr<Task>& task);

  EventLoop& loop_;
  // Loop's thread only.
  std::unordered_map<ChunkKey, std::deque<Task>> lanes_;  // behind the running one
  size_t waiting_ = 0;
  Lifetime lifetime_;
  std::unique_ptr<Workers> workers_;  // null: stopped
};

}  // namespace kfs

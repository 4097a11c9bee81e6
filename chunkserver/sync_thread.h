// Makes written data durable about once a second, on a thread of its own: the next time begins an interval
// after the last has ended. Loop's thread. Ends when it is destroyed.
#pragma once

#include <memory>

#include "chunkserver/chunk_store.h"
#include "common/lifetime.h"
#include "rpc/event_loop.h"
#include "rpc/workers.h"

namespace kfs {

class SyncThread {
 public:
  SyncThread(EventLoop& loop, ChunkStore* store, Duration interval)
      : loop_(loop), store_(store), interval_(interval), worker_(loop.StartWorkers("kfs-sync", 1)) {
    Arm();
  }
  ~SyncThread() { lifetime_.End(); }
  SyncThread(const SyncThread&) = delete;
  SyncThread& operator=(const SyncThread&) = delete;

  void SetInterval(Duration interval) {
    if (interval_ == interval) return;
    interval_ = interval;
    if (timer_.active()) Arm();  // else it is at it
  }

 private:
  void Arm() {
    timer_ = loop_.RunAfter(interval_, [this] {
      worker_->Do([this, again = lifetime_.While([this] { Arm(); })] {
        store_->SyncChangedDisks();
        loop_.Post(again);
      });
    });
  }

  EventLoop& loop_;
  ChunkStore* const store_;
  Duration interval_;
  EventLoop::Timer timer_;
  Lifetime lifetime_;
  std::unique_ptr<Workers> worker_;  // ends before the rest
};

}  // namespace kfs

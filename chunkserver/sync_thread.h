// The thread that makes written data durable about once a second. Ends when it is destroyed.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "chunkserver/chunk_store.h"
#include "common/clock.h"

namespace kfs {

class SyncThread {
 public:
  SyncThread(ChunkStore* store, Duration interval)
      : store_(store), interval_(interval), thread_([this] { Run(); }) {
    pthread_setname_np(thread_.native_handle(), "kfs-sync");
  }
  void SetInterval(Duration interval) {
    {
      std::lock_guard lock(mutex_);
      if (interval_ == interval) return;
      interval_ = interval;
      changed_ = true;
    }
    wake_.notify_all();
  }
  ~SyncThread() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (wake_.wait_for(lock, interval_, [this] { return stop_ || changed_; })) {
        if (stop_) return;
        changed_ = false;
        continue;
      }
      lock.unlock();
      store_->SyncChangedDisks();
      lock.lock();
    }
  }
  ChunkStore* const store_;
  std::mutex mutex_;  // guards what follows
  Duration interval_;
  bool changed_ = false;  // the interval
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace kfs

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
    while (!wake_.wait_for(lock, interval_, [this] { return stop_; })) {
      lock.unlock();
      store_->SyncChangedDisks();
      lock.lock();
    }
  }
  ChunkStore* const store_;
  const Duration interval_;
  std::mutex mutex_;  // guards stop_
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace kfs

#include "chunkserver/io_pool.h"

#include <pthread.h>

namespace kfs {

IoPool::IoPool(EventLoop& loop, size_t threads) : loop_(loop) {
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Run(); });
    pthread_setname_np(threads_.back().native_handle(), "kfs-io");
  }
}

IoPool::~IoPool() { Stop(); }

void IoPool::Stop() {
  *alive_ = false;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    queue_.clear();
  }
  wake_.notify_all();
  for (auto& t : threads_) {
    if (t.joinable()) t.join();
  }
  lanes_.clear();
}

bool IoPool::Submit(std::optional<ChunkKey> key, Work work, Work done) {
  if (waiting_ >= kWaitingMax) return false;
  ++waiting_;
  Task task{key, std::move(work), std::move(done)};
  if (key) {
    auto [lane, fresh] = lanes_.try_emplace(*key);
    if (!fresh) {
      lane->second.push_back(std::move(task));
      return true;
    }
  }
  Push(std::move(task));
  return true;
}

void IoPool::Push(Task task) {
  {
    std::lock_guard lock(mutex_);
    if (stop_) return;
    queue_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void IoPool::Run() {
  for (;;) {
    auto task = std::make_shared<Task>();
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
      if (stop_) return;
      *task = std::move(queue_.front());
      queue_.pop_front();
    }
    task->work();
    task->work = nullptr;
    // Moved, so that the last reference, and what the functions hold, is let go on the loop's thread.
    loop_.Post([this, task = std::move(task), alive = alive_] {
      if (*alive) Finished(task);
    });
  }
}

void IoPool::Finished(const std::shared_ptr<Task>& task) {
  --waiting_;
  if (task->key) {
    auto lane = lanes_.find(*task->key);
    if (lane->second.empty()) {
      lanes_.erase(lane);
    } else {
      Task next = std::move(lane->second.front());
      lane->second.pop_front();
      Push(std::move(next));
    }
  }
  task->done();
}

}  // namespace kfs

#include "chunkserver/io_pool.h"

namespace kfs {

IoPool::IoPool(EventLoop& loop, size_t threads)
    : loop_(loop), workers_(loop.StartWorkers("kfs-io", static_cast<int>(threads))) {}

IoPool::~IoPool() { Stop(); }

void IoPool::Stop() {
  lifetime_.End();
  workers_.reset();
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
  if (workers_ == nullptr) return;
  auto finished = lifetime_.While([this](const std::shared_ptr<Task>& t) { Finished(t); });
  workers_->Do(
      [this, task = std::make_shared<Task>(std::move(task)), finished = std::move(finished)]() mutable {
        task->work();
        task->work = nullptr;
        // Moved, so that the last reference, and what the functions hold, is let go on the loop's thread.
        loop_.Post([task = std::move(task), finished = std::move(finished)] { finished(task); });
      });
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

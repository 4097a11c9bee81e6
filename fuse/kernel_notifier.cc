#include "fuse/kernel_notifier.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace kfs::fuse {

struct KernelNotifier::State {
  struct Job {
    Ino ino;
    std::function<void()> done;
  };

  State(EventLoop& l, std::function<void(Ino)> fn) : loop(l), drop_pages(std::move(fn)) {}

  EventLoop& loop;
  const std::function<void(Ino)> drop_pages;
  std::vector<std::thread> threads;  // begun with the jobs; the loop's thread only
  std::mutex mutex;                  // guards what follows
  std::condition_variable wake;
  std::deque<Job> jobs;
  size_t busy = 0;
  bool stop = false;

  void Work() {
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return stop || !jobs.empty(); });
      if (stop) return;
      Job job = std::move(jobs.front());
      jobs.pop_front();
      ++busy;
      lock.unlock();
      drop_pages(job.ino);
      lock.lock();
      --busy;
      if (stop) return;
      loop.Post(std::move(job.done));
    }
  }
};

KernelNotifier::KernelNotifier(EventLoop& loop, std::function<void(Ino)> drop_pages)
    : state_(std::make_shared<State>(loop, std::move(drop_pages))) {}

KernelNotifier::~KernelNotifier() {
  bool busy;
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
    busy = state_->busy != 0;
  }
  state_->wake.notify_all();
  for (std::thread& thread : state_->threads) {
    if (busy)
      thread.detach();
    else
      thread.join();
  }
}

void KernelNotifier::DropPages(Ino ino, std::function<void()> done) {
  size_t wanted;
  {
    std::lock_guard lock(state_->mutex);
    state_->jobs.push_back({ino, std::move(done)});
    wanted = state_->busy + state_->jobs.size();
  }
  if (wanted > state_->threads.size() && state_->threads.size() < kAtOnce)
    state_->threads.emplace_back([state = state_] { state->Work(); });
  state_->wake.notify_one();
}

}  // namespace kfs::fuse

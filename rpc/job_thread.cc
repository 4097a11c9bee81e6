#include "rpc/job_thread.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

namespace kfs {

struct JobThread::Impl {
  struct Job {
    const void* uses = nullptr;
    std::function<Status()> work;
    std::function<void(const Status&)> done;
  };
  std::function<void(std::function<void()>)> post;
  std::mutex mutex;
  std::condition_variable idle;
  // Guarded by mutex.
  std::deque<Job> waiting;
  std::vector<const void*> busy_with;
  std::unique_ptr<Workers> workers;  // ends before the rest

  // On a worker, once for each job that was given: those that were forgotten are missing then.
  void RunOne() {
    std::unique_lock lock(mutex);
    if (waiting.empty()) return;
    Job job = std::move(waiting.front());
    waiting.pop_front();
    busy_with.push_back(job.uses);
    lock.unlock();
    Tell(std::move(job.done), job.work());
    job.work = nullptr;
    lock.lock();
    busy_with.erase(std::find(busy_with.begin(), busy_with.end(), job.uses));
    idle.notify_all();
  }
  void Tell(std::function<void(const Status&)> done, Status s) {
    post([done = std::move(done), s = std::move(s)] { done(s); });
  }
};

JobThread::JobThread(std::function<void(std::function<void()>)> post, std::unique_ptr<Workers> workers)
    : impl_(std::make_unique<Impl>()) {
  impl_->post = std::move(post);
  impl_->workers = std::move(workers);
}

JobThread::JobThread(EventLoop& loop, const char* name, int at_once)
    : JobThread([&loop](std::function<void()> fn) { loop.Post(std::move(fn)); },
                loop.StartWorkers(name, at_once)) {}

JobThread::~JobThread() { impl_->workers.reset(); }

void JobThread::Do(const void* uses, std::function<Status()> work, std::function<void(const Status&)> done) {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->waiting.push_back({uses, std::move(work), std::move(done)});
  }
  impl_->workers->Do([impl = impl_.get()] { impl->RunOne(); });
}

void JobThread::Forget(const void* uses) {
  std::unique_lock lock(impl_->mutex);
  for (Impl::Job& job : impl_->waiting) {
    if (job.uses == uses)
      impl_->Tell(std::move(job.done), Status(ECANCELED, "the volume was closed meanwhile"));
  }
  std::erase_if(impl_->waiting, [uses](const Impl::Job& job) { return job.uses == uses; });
  const std::vector<const void*>& busy = impl_->busy_with;
  impl_->idle.wait(lock, [&] { return std::find(busy.begin(), busy.end(), uses) == busy.end(); });
}

}  // namespace kfs

#include "metaserver/store/cold_reads.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace kfs::meta {
namespace {

// Disks serve several reads at once; more would only take memory.
constexpr int kThreads = 2;

}  // namespace

struct ColdReads::Impl {
  struct Job {
    Db* db;
    std::vector<std::string> keys;
    std::function<void()> done;
  };
  std::function<void(std::function<void()>)> post;
  std::mutex mutex;
  std::condition_variable wake, idle;
  // Guarded by mutex.
  std::deque<Job> waiting;
  std::vector<Db*> busy;
  bool stop = false;
  std::vector<std::thread> threads;

  void Run() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [this] { return stop || !waiting.empty(); });
      if (stop) return;
      Job job = std::move(waiting.front());
      waiting.pop_front();
      busy.push_back(job.db);
      lock.unlock();
      job.db->Warm(job.keys);
      post(std::move(job.done));
      lock.lock();
      busy.erase(std::find(busy.begin(), busy.end(), job.db));
      idle.notify_all();
    }
  }
};

ColdReads::ColdReads(std::function<void(std::function<void()>)> post) : impl_(std::make_unique<Impl>()) {
  impl_->post = std::move(post);
  for (int i = 0; i < kThreads; ++i) impl_->threads.emplace_back([impl = impl_.get()] { impl->Run(); });
}

ColdReads::~ColdReads() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->wake.notify_all();
  for (std::thread& t : impl_->threads) t.join();
}

void ColdReads::Fetch(Db* db, std::vector<std::string> keys, std::function<void()> done) {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->waiting.push_back({db, std::move(keys), std::move(done)});
  }
  impl_->wake.notify_one();
}

void ColdReads::Remove(Db* db) {
  std::unique_lock lock(impl_->mutex);
  std::erase_if(impl_->waiting, [db](const Impl::Job& job) { return job.db == db; });
  impl_->idle.wait(
      lock, [&] { return std::find(impl_->busy.begin(), impl_->busy.end(), db) == impl_->busy.end(); });
}

}  // namespace kfs::meta

#include "metaserver/store/wal_sync.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "common/clock.h"

namespace kfs::meta {
namespace {

// Half of what is promised, the other half is for the disk.
constexpr auto kSyncDelay = std::chrono::milliseconds(500);

}  // namespace

struct WalSync::Impl {
  std::function<void(std::function<void()>)> post;
  std::mutex mutex;
  std::condition_variable wake, idle;
  // Guarded by mutex.
  struct Work {
    MonoTime due;
    std::vector<std::function<void()>> waiters;
  };
  std::map<Db*, Work> dirty;
  Db* busy = nullptr;
  bool stop = false;
  std::thread thread;

  void Run() {
    std::unique_lock lock(mutex);
    while (true) {
      auto next = dirty.begin();
      for (auto it = dirty.begin(); it != dirty.end(); ++it) {
        if (it->second.due < next->second.due) next = it;
      }
      if (next == dirty.end()) {
        if (stop) return;
        wake.wait(lock);
        continue;
      }
      // A copy: the entry may go while we wait.
      const MonoTime due = next->second.due;
      if (!stop && std::chrono::steady_clock::now() < due) {
        wake.wait_until(lock, due);
        continue;
      }
      Db* db = busy = next->first;
      Work work = std::move(next->second);
      dirty.erase(next);
      lock.unlock();
      // The volume is about to be closed, which tells whoever waits.
      if (!db->Sync().ok()) work.waiters.clear();
      if (!work.waiters.empty()) {
        post([waiters = std::move(work.waiters)] {
          for (const auto& done : waiters) done();
        });
      }
      lock.lock();
      busy = nullptr;
      idle.notify_all();
    }
  }
};

WalSync::WalSync(std::function<void(std::function<void()>)> post) : impl_(std::make_unique<Impl>()) {
  impl_->post = std::move(post);
  impl_->thread = std::thread([impl = impl_.get()] { impl->Run(); });
}

WalSync::~WalSync() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
}

void WalSync::Changed(Db* db) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->dirty.try_emplace(db, Impl::Work{std::chrono::steady_clock::now() + kSyncDelay, {}}).second) {
    if (impl_->dirty.size() == 1) impl_->wake.notify_one();
  }
}

void WalSync::SyncNow(Db* db, std::function<void()> done) {
  std::lock_guard lock(impl_->mutex);
  Impl::Work& work = impl_->dirty[db];
  work.due = std::chrono::steady_clock::now();
  work.waiters.push_back(std::move(done));
  impl_->wake.notify_one();
}

void WalSync::Remove(Db* db) {
  std::unique_lock lock(impl_->mutex);
  impl_->dirty.erase(db);
  impl_->idle.wait(lock, [&] { return impl_->busy != db; });
}

}  // namespace kfs::meta

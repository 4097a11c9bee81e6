#include "metaserver/store/wal_sync.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <vector>

#include "common/clock.h"
#include "common/log.h"
#include "rpc/workers.h"

namespace kfs::meta {
namespace {

// Half of what is promised, the other half is for the disk.
constexpr auto kSyncDelay = std::chrono::milliseconds(500);
// Or as soon as so much has been written since the last one: where RocksDB goes on to another log, the loop waits
// for what is left of the one before (store/log_order.h).
constexpr uint64_t kUnsyncedMax = 4 << 20;

}  // namespace

struct WalSync::Impl {
  struct Work {
    MonoTime due;
    uint64_t from = 0;  // what had been written before, in bytes
    std::vector<std::function<void()>> waiters;
  };
  Impl(EventLoop& l, const char* thread) : loop(l), workers(l.StartWorkers(thread, 1)) {}

  // Loop's thread: the worker looks for what is due.
  void Kick() {
    workers->Do([this] { SyncDue(/*all=*/false); });
  }
  // Loop's thread: wakes up when something will be due, if nothing else does.
  void Arm() {
    if (timer.active()) return;
    const MonoTime now = loop.clock().MonoNow();
    MonoTime due = MonoTime::max();
    {
      std::lock_guard lock(mutex);
      for (const auto& [db, work] : dirty) {
        if (work.due > now) due = std::min(due, work.due);
      }
    }
    if (due == MonoTime::max()) return;
    timer = loop.RunAfter(due - now, [this] {
      Kick();
      Arm();
    });
  }

  // On the worker; or, in the end, on the loop's thread.
  void SyncDue(bool all) {
    std::unique_lock lock(mutex);
    while (!dirty.empty()) {
      const auto next = std::min_element(dirty.begin(), dirty.end(), [](const auto& a, const auto& b) {
        return a.second.due < b.second.due;
      });
      if (!all && loop.clock().MonoNow() < next->second.due) return;
      Db* db = busy = next->first;
      Work work = std::move(next->second);
      dirty.erase(next);
      lock.unlock();
      Sync(*db, std::move(work));
      lock.lock();
      busy = nullptr;
      idle.notify_all();
    }
  }
  void Sync(Db& db, Work work) {
    if (const Status s = db.Sync(); !s.ok()) {
      if (db.lost()) return;  // the volume is about to be closed, which tells whoever waits
      KFS_LOG(critical,
              "store.sync_failed error=\"{}\": stopping, later changes could be lost with the power",
              s.ToString());
      return db.End(s.message());
    }
    if (work.waiters.empty()) return;
    loop.Post([waiters = std::move(work.waiters)] {
      for (const auto& done : waiters) done();
    });
  }

  EventLoop& loop;
  std::mutex mutex;
  std::condition_variable idle;
  std::map<Db*, Work> dirty;         // guarded by mutex
  Db* busy = nullptr;                // guarded by mutex
  EventLoop::Timer timer;            // loop's thread only
  std::unique_ptr<Workers> workers;  // ends before the rest
};

WalSync::WalSync(EventLoop& loop, const char* thread) : impl_(std::make_unique<Impl>(loop, thread)) {}

WalSync::~WalSync() {
  impl_->timer.Cancel();
  impl_->workers.reset();
  for (auto& [db, work] : impl_->dirty) work.waiters.clear();
  impl_->SyncDue(/*all=*/true);
}

void WalSync::Changed(Db* db) {
  const MonoTime now = impl_->loop.clock().MonoNow();
  bool is_new = false, is_much = false;
  {
    std::lock_guard lock(impl_->mutex);
    const auto [it, added] = impl_->dirty.try_emplace(db);
    Impl::Work& work = it->second;
    is_new = added;
    if (is_new) work = {.due = now + kSyncDelay, .from = db->written_bytes()};
    is_much = work.due > now && db->written_bytes() - work.from >= kUnsyncedMax;
    if (is_much) work.due = now;
  }
  if (is_new) impl_->Arm();
  if (is_much) impl_->Kick();
}

void WalSync::SyncNow(Db* db, std::function<void()> done) {
  {
    std::lock_guard lock(impl_->mutex);
    Impl::Work& work = impl_->dirty[db];
    work.from = db->written_bytes();
    work.due = impl_->loop.clock().MonoNow();
    work.waiters.push_back(std::move(done));
    if (work.waiters.size() > 1) return;  // the worker has been told
  }
  impl_->Kick();
}

void WalSync::Remove(Db* db) {
  std::unique_lock lock(impl_->mutex);
  impl_->dirty.erase(db);
  impl_->idle.wait(lock, [&] { return impl_->busy != db; });
}

}  // namespace kfs::meta

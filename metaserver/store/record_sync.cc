#include "metaserver/store/record_sync.h"

#include <utility>

#include "common/log.h"

namespace kfs::meta {

void RecordSync::UseThread(WalSync* thread) {
  thread_ = thread;
  lifetime_ = std::make_unique<Lifetime>();
  std::exchange(waiting_, {}).clear();
}

void RecordSync::Sync(std::function<void()> done) {
  if (thread_ != nullptr) {
    waiting_.push_back(std::move(done));
    return thread_->SyncNow(&db_, lifetime_->While([this] {
      const std::function<void()> next = std::move(waiting_.front());
      waiting_.pop_front();
      next();
    }));
  }
  if (const Status s = db_.Sync(); !s.ok()) {
    KFS_LOG(critical, "cluster.sync_failed reason=\"{}\" effect=\"the process ends\"", s.ToString());
    return db_.End(s.message());
  }
  done();
}

}  // namespace kfs::meta

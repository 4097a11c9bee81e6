#include "client/lock_ops.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "client/convert.h"

namespace kfs {

void SetLockOp::Start(ProtocolWorker& worker) {
  const FileLock lock = LockFromPb(request.lock());
  // Not only when it is sent: a close may come while it is held back.
  if (lock.type != FileLock::kUnlock && !lock.flock && !handle->lost()) {
    worker.lock_owners().Add(handle->ino(), lock.owner);
    handle->AddLockOwner(lock.owner);
  }
  HandleOp::Start(worker);
}

bool SetLockOp::Begin(ProtocolWorker& worker) {
  if (!takes()) {
    // From now on it is not reclaimed.
    worker.session().held().ApplyLock(handle->ino(), LockFromPb(request.lock()));
    return true;
  }
  if (worker.late_locks().HoldBack(Of(), [this, self = shared_from_this(), &worker] {
        if (!finished()) Go(worker);
      }))
    return false;
  undone_ = worker.late_locks().undone();
  under_way_ = HandleOp::Begin(worker);
  return under_way_;
}

void SetLockOp::Answered(ProtocolWorker& worker, Status status) {
  under_way_ = false;
  if (takes() && status.ok() && undone_ != worker.late_locks().undone()) {
    granted_ = true;
    return Go(worker);
  }
  if (granted_ && !status.ok()) {
    worker.late_locks().Begin(Of());
    Undo(worker);
  }
  HandleOp::Answered(worker, std::move(status));
}

void SetLockOp::Succeeded(ProtocolWorker& worker) {
  const FileLock lock = LockFromPb(request.lock());
  if (lock.type != FileLock::kUnlock) worker.session().held().ApplyLock(handle->ino(), lock);
}

// The answer to a waiting lock is the metaserver's to give: the lock may just have been granted. It is given
// a moment for it.
void SetLockOp::OnCancel(ProtocolWorker& worker) {
  constexpr Duration kPatience = std::chrono::seconds(1);
  if (request.wait() && op_id != 0) {
    pb::CancelOpRequest cancel;
    cancel.set_op_id(op_id);
    RemoteCall::Meta<rpc::CancelOp>(worker, nullptr, std::move(cancel), [](Status, pb::Empty&) {});
    if (worker.net().metaserver()->connected()) {
      RunAfter(kPatience, [this] { Finish(Status(EINTR, "waiting for the lock was interrupted")); });
      return;
    }
  }
  KfsOp::OnCancel(worker);
}

void SetLockOp::OnFinished(ProtocolWorker& worker) {
  if (under_way_ && takes()) worker.late_locks().Begin(Of());
}

void SetLockOp::Late(ProtocolWorker& worker, const Status& status, const pb::Empty&) {
  if (!takes()) return;
  if (status.ok() || granted_) return Undo(worker);
  worker.late_locks().End(Of());
}

// First to what the owner had there, in one step for each range, then the rest: were all given back and taken
// again, somebody who waits would come between.
void SetLockOp::Undo(ProtocolWorker& worker) {
  FileLock rest = LockFromPb(request.lock());
  std::vector<FileLock> steps = worker.session().held().LocksIn(handle->ino(), rest);
  std::ranges::sort(steps, {}, &FileLock::start);
  const FileLock::Type granted = std::exchange(rest.type, FileLock::kUnlock);
  bool to_the_end = true;
  for (size_t i = 0, had = steps.size(); i < had && to_the_end; ++i) {
    const FileLock there = steps[i];
    if (rest.start < there.start) {
      steps.push_back(rest);
      steps.back().end = there.start - 1;
    }
    to_the_end = there.end < rest.end;
    rest.start = there.end + 1;
  }
  if (to_the_end) steps.push_back(rest);
  std::erase_if(steps, [granted](const FileLock& l) { return l.type == granted; });
  worker.late_locks().NoteUndone();
  // The last one that is answered ends it.
  const std::shared_ptr<void> done(nullptr, [&worker, keep = worker.shared_from_this(), of = Of()](void*) {
    worker.late_locks().End(of);
  });
  for (const FileLock& step : steps) {
    pb::SetLockRequest undo;
    LockToPb(handle->ino(), step, undo.mutable_lock());
    RemoteCall::Meta<rpc::SetLock>(worker, nullptr, std::move(undo), [done](Status, pb::Empty&) {});
  }
}

// ---- Flush, Release ----

void FlushOp::Start(ProtocolWorker& worker) {
  handle->DropLockOwner(request.owner());
  if (!is_copy_ && !worker.lock_owners().Drop(handle->ino(), request.owner())) return Finish(Status());
  HandleOp::Start(worker);
}

KfsOpPtr FlushOp::MakeCopy() {
  auto op = std::make_shared<FlushOp>(caller, request, handle);
  op->is_copy_ = true;
  return op;
}

bool FlushOp::Begin(ProtocolWorker& worker) {
  worker.session().held().DropPosixLocks(handle->ino(), request.owner());
  return true;
}

void ReleaseOp::Start(ProtocolWorker& worker) {
  for (uint64_t owner : handle->TakeLockOwners()) {
    pb::FlushRequest flush;
    flush.set_ino(handle->ino().v);
    flush.set_owner(owner);
    worker.RunAlone(std::make_shared<FlushOp>(Caller{}, std::move(flush), handle));
  }
  HandleOp::Start(worker);
}

}  // namespace kfs

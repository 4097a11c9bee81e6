#include "client/lock_ops.h"

#include <utility>

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
  const FileLock lock = LockFromPb(request.lock());
  if (lock.type != FileLock::kUnlock) return HandleOp::Begin(worker);
  worker.session().held().ApplyLock(handle->ino(), lock);  // from now on it is not reclaimed
  return true;
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

// Granted after the caller had been told EINTR: what the owner had before is set again.
void SetLockOp::LateSuccess(ProtocolWorker& worker, const pb::Empty&) {
  const Ino ino = handle->ino();
  const FileLock lock = LockFromPb(request.lock());
  if (lock.type == FileLock::kUnlock) return;
  std::vector<FileLock> before = worker.session().held().LocksIn(ino, lock);
  FileLock unlock = lock;
  unlock.type = FileLock::kUnlock;
  before.insert(before.begin(), unlock);
  for (const FileLock& l : before) {
    pb::SetLockRequest undo;
    LockToPb(ino, l, undo.mutable_lock());
    RemoteCall::Meta<rpc::SetLock>(worker, nullptr, std::move(undo), [](Status, pb::Empty&) {});
  }
}

// ---- Flush, Release ----

void FlushOp::Start(ProtocolWorker& worker) {
  handle->DropLockOwner(request.owner());
  if (!again_ && !worker.lock_owners().Drop(handle->ino(), request.owner())) return Finish(Status());
  HandleOp::Start(worker);
}

KfsOpPtr FlushOp::Again() {
  auto op = std::make_shared<FlushOp>(caller, request, handle);
  op->again_ = true;
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

// GetLock, SetLock, Flush.
#include "metaserver/executor/executor.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/common.h"

namespace kfs::meta {
namespace {

Result<LockRequest> ToRequest(const pb::LockRange& lock, uint32_t uid) {
  if (lock.start() > lock.end() && !lock.flock())
    return Status(EINVAL, "a lock's range ends before it starts");
  if (lock.type() < pb::LockRange::UNLOCK || lock.type() > pb::LockRange::WRITE)
    return Status(EINVAL, "unknown lock type");
  return LockRequest{.type = static_cast<LockType>(lock.type()),
                     .flock = lock.flock(),
                     .start = lock.start(),
                     .end = lock.end(),
                     .pid = lock.pid(),
                     .uid = uid};
}

// Whether the call waits until those that came before have had their turn.
bool WaitsForOthers(OpEnv& env, Ino ino) {
  if (!env.volume.locks.Settling(ino)) return false;
  env.Park("lock",
           [volume = &env.volume, ino](const ParkedPtr& parked) { volume->WaitUntilSettled(ino, parked); });
  return true;
}

Status StatusOf(LockTable::Outcome outcome) {
  switch (outcome) {
    case LockTable::Outcome::kGranted:
      return {};
    case LockTable::Outcome::kConflict:
      return Status(EAGAIN, "the lock is held");
    case LockTable::Outcome::kDeadlock:
      return Status(EDEADLK, "the owners wait for each other");
    case LockTable::Outcome::kNoLocks:
      return Status(ENOLCK, "too many locks of this mount, of this user in it, or of all mounts");
    case LockTable::Outcome::kWaiting:
      break;
  }
  return Status(EIO, "a lock waits that was not to");
}

// Grants it, or says why not, or parks the call.
Status TakeLock(OpEnv& env, const pb::SetLockRequest& request, const LockRequest& lock) {
  const Ino ino(request.lock().ino());
  const LockOwner owner{env.session.id, request.lock().owner()};
  Volume* volume = &env.volume;
  Executor* executor = &env.executor;
  const LockTable::Outcome outcome = volume->locks.Set(ino, owner, lock);
  if (outcome != LockTable::Outcome::kConflict) return StatusOf(outcome);
  if (request.lock().flock() && !request.wait() && !env.progress.drained) {
    // The holder's kernel may have closed the file already and its mount not yet told us.
    std::vector<Need> needs = executor->FlockHolders(*volume, ino);
    KFS_RETURN_IF_ERROR(executor->MayAsk(needs));
    env.progress.drained = true;
    env.Park("drain",
             [executor, needs = std::move(needs)](const ParkedPtr& parked) { executor->Ask(needs, parked); });
    return {};
  }
  if (!request.wait()) return StatusOf(outcome);
  // The record of what was granted is made when it is: until then there is nothing to be told again.
  env.Park("lock", [executor, volume, ino, owner, lock, range = request.lock()](const ParkedPtr& parked) {
    const auto granted = [executor, parked, range](const Status& status) {
      executor->FinishLock(parked, status, range);
    };
    const LockTable::Outcome then =
        volume->locks.Set(ino, owner, lock, /*wait=*/true, granted, parked->call->op_id);
    if (then != LockTable::Outcome::kWaiting) granted(StatusOf(then));
  });
  return {};
}

// Who has it open, or could open it.
Status MayLock(const OpEnv& env, const rec::Inode& inode) {
  if (env.session.opens.contains(Ino(inode.ino()))) return {};
  const Status reads = Permit(env, inode, kRead);
  return reads.ok() ? reads : Permit(env, inode, kWrite);
}

}  // namespace

Status Handle(OpEnv& env, const pb::GetLockRequest& request, pb::GetLockReply* reply) {
  Result<LockRequest> lock = ToRequest(request.lock(), env.ctx.uid());
  if (!lock.ok()) return lock.status();
  if (env.volume.in_grace())
    return Status(EAGAIN, Code::kTryAgain, "other clients are still reclaiming their locks");
  if (WaitsForOthers(env, Ino(request.lock().ino()))) return {};
  LockOwner owner{env.session.id, request.lock().owner()};
  *reply->mutable_lock() = request.lock();
  std::optional<HeldLock> held = env.volume.locks.Test(Ino(request.lock().ino()), owner, *lock);
  if (!held) {
    reply->mutable_lock()->set_type(pb::LockRange::UNLOCK);
    return {};
  }
  reply->mutable_lock()->set_type(static_cast<pb::LockRange::Type>(held->type));
  reply->mutable_lock()->set_start(held->start);
  reply->mutable_lock()->set_end(held->end);
  // A pid of another machine means nothing to the asker.
  reply->mutable_lock()->set_pid(held->owner.session == env.session.id ? held->pid : 0);
  return {};
}

Status Handle(OpEnv& env, const pb::SetLockRequest& request, pb::Empty*) {
  Result<LockRequest> lock = ToRequest(request.lock(), env.ctx.uid());
  if (!lock.ok()) return lock.status();
  Result<const rec::Inode*> inode = GetInode(env, request.lock().ino());
  if (!inode.ok()) return inode.status();
  if (env.volume.in_grace() && lock->type != LockType::kUnlock) {
    return Status(EAGAIN, Code::kTryAgain, "other clients are still reclaiming their locks");
  }
  if (lock->type != LockType::kUnlock) KFS_RETURN_IF_ERROR(MayLock(env, **inode));
  env.lock = &request.lock();
  if (lock->type == LockType::kUnlock && env.ctx.op_id() <= env.session.lane(env.call->lane).unlocked_up_to)
    return {};
  Ino ino(request.lock().ino());
  if (lock->type != LockType::kUnlock && WaitsForOthers(env, ino)) return {};
  env.decide = [&env, &request, lock = *lock] { return TakeLock(env, request, lock); };
  return {};
}

Status Handle(OpEnv& env, const pb::FlushRequest& request, pb::Empty*) {
  Volume* volume = &env.volume;
  if (request.ctx().op_id() <= env.session.lane(env.call->lane).unlocked_up_to) return {};
  LockOwner owner{env.session.id, request.owner()};
  Ino ino(request.ino());
  env.txn.OnApply([volume, owner, ino] { volume->locks.ReleaseOwner(ino, owner, /*flock=*/false); });
  return {};
}

}  // namespace kfs::meta

// Ops on locks. What they ask for and give back is held beside it (HeldState, FileHandle, RecordLockOwners),
// from their start on where a close may come while they are under way.
#pragma once

#include "client/meta_op.h"
#include "proto/op_types.h"

namespace kfs {

using GetLockOp = HandleOp<rpc::GetLock>;

class SetLockOp final : public HandleOp<rpc::SetLock> {
 public:
  using HandleOp::HandleOp;
  bool waits_for_others() const override { return request.wait(); }
  bool must_run() const override { return request.lock().type() == pb::LockRange::UNLOCK; }
  void Start(ProtocolWorker& worker) override;
  void OnCancel(ProtocolWorker& worker) override;

 protected:
  Ino GivesBack() const override { return handle->ino(); }
  KfsOpPtr MakeCopy() override { return std::make_shared<SetLockOp>(caller, request, handle); }
  bool Begin(ProtocolWorker& worker) override;
  void Answered(ProtocolWorker& worker, Status status) override;
  void Succeeded(ProtocolWorker& worker) override;
  void Late(ProtocolWorker& worker, const Status& status, const pb::Empty& reply) override;
  void OnFinished(ProtocolWorker& worker) override;

 private:
  bool takes() const { return request.lock().type() != pb::LockRange::UNLOCK; }
  LateLocks::Of Of() const { return {handle->ino(), request.lock().owner(), request.lock().flock()}; }
  // What it was granted goes back to what the owner knows that it has. REQUIRES: LateLocks::Begin.
  void Undo(ProtocolWorker& worker);

  bool under_way_ = false;
  bool granted_ = false;  // but has been asked for once more
  uint64_t undone_ = 0;   // LateLocks::undone as it was sent
};

// A descriptor was closed. Ends at once when its owner has not asked for a lock on the inode.
class FlushOp final : public HandleOp<rpc::Flush> {
 public:
  using HandleOp::HandleOp;
  bool must_run() const override { return true; }
  void Start(ProtocolWorker& worker) override;

 protected:
  Ino GivesBack() const override { return handle->ino(); }
  KfsOpPtr MakeCopy() override;
  void HeldBack() override { Finish(Status()); }
  bool Begin(ProtocolWorker& worker) override;

 private:
  bool is_copy_ = false;  // it is known that there are locks
};

}  // namespace kfs

#include "client/kfs_op.h"

#include <cassert>

#include "client/protocol_worker.h"
#include "client/remote_call.h"

namespace kfs {

void KfsOp::OnCancel(ProtocolWorker&) { Finish(Status(EINTR, std::string(name()) + " was interrupted")); }

void KfsOp::Finish(Status status) {
  if (finished_) return;
  assert(worker_ != nullptr);
  const KfsOpPtr self = shared_from_this();
  finished_ = true;
  status_ = std::move(status);
  timer_.Cancel();
  OnFinished(*worker_);
  const std::vector<RemoteCall*> calls = calls_;  // they change it
  for (RemoteCall* call : calls) call->Abandon();
  worker_->OpDone(self);
}

std::string KfsOp::WhyWaiting() const {
  if (auto step = step_.lock(); step != nullptr && !step->finished_) return step->WhyWaiting();
  std::string why = trouble_.ok() ? "" : trouble_.message();
  if (!calls_.empty()) why += (why.empty() ? "" : "; ") + calls_.front()->Awaits();
  return why.empty() ? "it waits for other calls of this mount" : why;
}

void KfsOp::RunAfter(Duration pause, std::function<void()> fn) {
  timer_ = worker_->loop().RunAfter(pause, [weak = weak_from_this(), fn = std::move(fn)] {
    if (auto self = weak.lock(); self != nullptr && !self->finished_) fn();
  });
}

}  // namespace kfs

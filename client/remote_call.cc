#include "client/remote_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "client/convert.h"
#include "client/protocol_worker.h"
#include "common/reached.h"

namespace kfs {
namespace {

constexpr Duration kPauseMin = std::chrono::milliseconds(20);
constexpr Duration kPauseMax = std::chrono::seconds(1);

}  // namespace

void RemoteCall::Start(ProtocolWorker& worker, Spec spec) {
  auto call = std::make_shared<RemoteCall>(worker, std::move(spec));
  if (KfsOp* op = call->spec_.op.get(); op != nullptr) {
    if (op->finished()) {  // nothing new for it; only calls without an op clean up after it
      Answer answer(Status(ECANCELED, "the call has ended"));
      return call->Complete(answer);
    }
    op->calls_.push_back(call.get());
  }
  call->Send();
}

RemoteCall::RemoteCall(ProtocolWorker& worker, Spec spec)
    : worker_(worker.shared_from_this()), spec_(std::move(spec)), began_(worker.loop().Now()) {
  if (spec_.context != nullptr && spec_.op != nullptr) {
    CallerToPb(spec_.op->caller, spec_.context);
  }
  if (spec_.mutates) {
    assert(spec_.context != nullptr);
    op_id_ = worker_->session().ids().Next();
    spec_.context->set_op_id(op_id_);
    if (spec_.op != nullptr) spec_.op->op_id = op_id_;
    worker_->AddMutation(op_id_, this);
    worker_->session().IdGiven(op_id_);
  }
}

void RemoteCall::Send() {
  auto net = spec_.address.empty() ? worker_->net().metaserver() : worker_->net().Chunkserver(spec_.address);
  if (net == nullptr) {
    Answer answer(Status(ECANCELED, "the client is shutting down"));
    return Complete(answer);
  }
  if (spec_.context != nullptr) spec_.context->set_acked(worker_->session().ids().acked());
  if (spec_.op != nullptr) spec_.op->Stamp(KfsOp::kSent, worker_->loop().Now());
  net_ = net;
  in_net_ = true;
  sent_attached_ = net->connected();
  attaches_at_enqueue_ = worker_->session().attaches();
  net_id_ = net->Enqueue({.op = spec_.code,
                          .request = spec_.request.get(),
                          .payload = spec_.payload,
                          .timeout = {},
                          .trace = spec_.op != nullptr ? worker_->TraceOf(*spec_.op) : Trace{},
                          // A write of data is not repeated blindly: it might land twice, and late.
                          .resend = spec_.code != Op::kChunkWrite,
                          .done = [self = shared_from_this()](Answer a) { self->Answered(std::move(a)); }});
}

void RemoteCall::Answered(Answer answer) {
  in_net_ = false;
  if (session_lost_) {
    KFS_REACHED("call.ends_with_its_session");
    answer.status =
        Status(EIO, Code::kUnknownSession,
               "the session ended before the answer came: whether the change was made is unknown");
    return Complete(answer);
  }
  const auto self = shared_from_this();
  const Code code = answer.status.code();
  const bool elsewhere = (code == Code::kNotOwner || code == Code::kStopped) && spec_.address.empty();
  const bool refused = elsewhere || code == Code::kTryAgain || code == Code::kNotAttached;
  if (refused) maybe_done_ = maybe_done_ || (spec_.mutates && MayHaveBeenSentTwice());
  if (elsewhere) {
    worker_->SessionRefused(answer.status);
    if (completed_) return;  // with its op
  } else if (code == Code::kUnknownSession && spec_.address.empty()) {
    worker_->SessionRefused(answer.status);
    if (spec_.mutates) {
      session_lost_ = true;
      answer.status =
          Status(EIO, Code::kUnknownSession, "the session ended: whether the change was made is unknown");
      return Complete(answer);
    }
  } else if (!refused) {
    if (!spec_.address.empty() && answer.status.err() == ECANCELED) {
      // The link was given up because the chunkserver does not answer: whoever asked looks for it anew.
      answer.status =
          Status(EIO, Code::kConnectionLost, "chunkserver " + spec_.address + " cannot be reached");
    }
    return Complete(answer);
  }
  // Refused for now: nothing was executed. Nobody waits for it any more: then it is not repeated, unless it
  // cleans up.
  const bool unwanted = spec_.op != nullptr && (spec_.op->finished() || code == Code::kStopped);
  if ((unwanted && !GoesOn()) || worker_->stopping()) return Complete(answer);
  if (spec_.op != nullptr) spec_.op->NoteTrouble(answer.status);
  SendAfterPause();
}

std::string RemoteCall::Awaits() const {
  const std::string from =
      spec_.address.empty() ? "the metaserver" : fmt::format("the chunkserver at {}", spec_.address);
  if (!in_net_) return fmt::format("{} is asked again for {}", from, OpName(spec_.code));
  const auto net = net_.lock();
  const Status error = net == nullptr || net->connected() ? Status() : net->last_error();
  return fmt::format("no answer from {} to {}{}{}", from, OpName(spec_.code), error.ok() ? "" : ": ",
                     error.message());
}

void RemoteCall::SendAfterPause() {
  worker_->CountRetry();
  KFS_REACHED("call.sent_again");
  pause_ = pause_ == Duration::zero() ? kPauseMin : std::min(2 * pause_, kPauseMax);
  pause_timer_ = worker_->loop().RunAfter(pause_, [self = shared_from_this()] {
    if (!self->completed_) self->Send();
  });
}

bool RemoteCall::MayHaveBeenSent() const {
  return sent_attached_ || worker_->session().attaches() != attaches_at_enqueue_;
}

bool RemoteCall::MayHaveBeenSentTwice() const {
  return worker_->session().attaches() - attaches_at_enqueue_ + (sent_attached_ ? 1 : 0) > 1;
}

// Although nobody waits for it.
bool RemoteCall::GoesOn() const {
  if (worker_->stopping() || session_lost_) return false;
  const bool gives_back = spec_.op == nullptr || (spec_.op->must_run() && worker_->MayKeepCalls());
  const bool may_take_effect = (spec_.mutates || spec_.keep) && in_net_ && MayHaveBeenSent();
  return gives_back || maybe_done_ || may_take_effect;
}

void RemoteCall::Abandon() {
  const auto self = shared_from_this();
  if (completed_ || GoesOn()) return;  // it completes under its id
  if (in_net_) {
    if (auto net = net_.lock()) net->Cancel(net_id_);  // Answered runs
    return;
  }
  pause_timer_.Cancel();
  Answer answer(Status(ECANCELED, "cancelled"));
  Complete(answer);
}

void RemoteCall::SessionLost() {
  const auto self = shared_from_this();
  session_lost_ = true;
  if (in_net_) {
    if (auto net = net_.lock()) net->Cancel(net_id_);
    return;
  }
  pause_timer_.Cancel();
  Answered(Answer(Status(ECANCELED, "cancelled")));
}

void RemoteCall::Complete(Answer& answer) {
  if (completed_) return;
  const auto self = shared_from_this();
  completed_ = true;
  pause_timer_.Cancel();
  if (spec_.mutates) {
    worker_->session().ids().Answered(op_id_);
    if (answer.status.ok() && spec_.logged)
      worker_->session().changes().Made(op_id_, spec_.touched, worker_->loop().Now());
    worker_->RemoveMutation(op_id_);
  }
  if (spec_.op != nullptr) {
    // A lock is waited for as long as its holder likes.
    if (spec_.code != Op::kSetLock) worker_->session().CallEnded(worker_->loop().Now() - began_);
    std::erase(spec_.op->calls_, this);
    if (!spec_.op->finished()) spec_.op->Stamp(KfsOp::kAnswered, worker_->loop().Now());
  }
  auto done = std::move(spec_.done);
  done(answer);
}

}  // namespace kfs

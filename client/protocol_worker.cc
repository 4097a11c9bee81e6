#include "client/protocol_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <thread>
#include <utility>

#include "client/remote_call.h"
#include "common/log.h"

namespace kfs {
namespace {

int64_t Micros(Duration d) { return std::chrono::duration_cast<std::chrono::microseconds>(d).count(); }

}  // namespace

ProtocolWorker::ProtocolWorker(KfsClient::Options options, Credentials credentials)
    : options_(std::move(options)),
      net_(options_.loop, {.metaservers = options_.metaservers,
                           .cluster_id = options_.cluster_id,
                           .credentials = std::move(credentials),
                           .pending_max = 4 * options_.ops_in_flight_max}),
      served_(std::make_shared<Dispatcher>(loop(), Dispatcher::Options{.role = pb::HelloRequest::CLIENT})),
      first_trace_(static_cast<uint32_t>(loop().entropy().Next())) {
  ServeDrainReleases();
  session_ = std::make_shared<Session>(loop(),
                                       Session::Options{.metaservers = options_.metaservers,
                                                        .volume = options_.volume,
                                                        .path = options_.path,
                                                        .mountpoint = options_.mountpoint},
                                       *this);
}

ProtocolWorker::~ProtocolWorker() {
  assert(requests_.empty());
  // The last reference may go on the worker's own thread, which cannot join itself.
  if (net_.owns_thread() && loop().InLoopThread()) {
    std::thread([thread = net_.TakeThread()]() mutable { thread.reset(); }).detach();
  }
}

// ---- any thread ----

CallId ProtocolWorker::Execute(RequestPtr request) {
  KfsOp& op = request->op();
  op.Stamp(KfsOp::kQueued, loop().clock().MonoNow());
  op.call_id = next_call_.fetch_add(1, std::memory_order_relaxed);
  const CallId id = op.call_id;
  if (request->blocks()) {
    WaitForRoom();
  } else if (!op.must_run() && in_flight_.load(std::memory_order_relaxed) >= options_.ops_in_flight_max) {
    request->refused = true;
  }
  in_flight_.fetch_add(1, std::memory_order_relaxed);
  if (loop().InLoopThread()) {
    StartRequest(std::move(request));
    return id;
  }
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(request));
    wake = !woken_;
    woken_ = true;
  }
  if (wake) loop().Post([self = shared_from_this()] { self->Drain(); });
  return id;
}

void ProtocolWorker::Cancel(CallId id) {
  auto cancel = [self = shared_from_this(), id] {
    self->Drain();  // it may still be queued
    auto it = self->requests_.find(id);
    if (it == self->requests_.end()) return;
    const RequestPtr request = it->second;
    request->op().OnCancel(*self);
  };
  if (loop().InLoopThread()) return cancel();
  loop().Post(std::move(cancel));
}

void ProtocolWorker::WaitForRoom() {
  // A little is left for completion forms, so that blocking callers do not starve them.
  const size_t limit = options_.ops_in_flight_max - options_.ops_in_flight_max / 8;
  if (in_flight_.load() < limit) return;
  std::unique_lock lock(mutex_);
  ++waiting_for_room_;
  room_.wait(lock, [&] { return in_flight_.load() < limit; });
  --waiting_for_room_;
}

KfsClient::Stats ProtocolWorker::stats() const {
  return {.ops = metrics_.calls(),
          .errors = metrics_.errors(),
          .retries = metrics_.retries.value(),
          .reconnects = metrics_.reconnects.value(),
          .pending = in_flight_};
}

// ---- worker's thread ----

void ProtocolWorker::Drain() {
  std::deque<RequestPtr> burst;
  {
    std::lock_guard lock(mutex_);
    burst.swap(queue_);
    woken_ = false;
  }
  for (RequestPtr& request : burst) StartRequest(std::move(request));
}

void ProtocolWorker::StartRequest(RequestPtr request) {
  KfsOp& op = request->op();
  op.Stamp(KfsOp::kDequeued, loop().Now());
  op.worker_ = this;
  requests_.emplace(op.call_id, request);
  request->starting = true;
  if (stopping_) {
    op.Finish(Status(ECANCELED, "the client is shut down"));
  } else if (request->refused) {
    op.Finish(Status(EAGAIN, Code::kTryAgain, "too many calls are in flight"));
  } else if (!session_->stopped().ok() && !op.must_run()) {
    op.Finish(session_->stopped());
  } else {
    if (options_.soft) {
      op.deadline = op.stamp(KfsOp::kDequeued) + options_.timeout;
      deadlines_.emplace_back(*op.deadline, op.call_id);
    }
    op.Start(*this);
    // What it gives back is given back when the volume is started; the caller does not wait for that.
    if (!session_->stopped().ok()) op.Finish(session_->stopped());
  }
  request->starting = false;
}

void ProtocolWorker::RunChild(KfsOp& parent, const KfsOpPtr& child, std::function<void(KfsOp&)> done) {
  child->worker_ = this;
  parent.step_ = child;
  child->call_id = parent.call_id;
  child->on_child_done = [weak = parent.weak_from_this(), done = std::move(done)](KfsOp& op) {
    if (auto p = weak.lock(); p != nullptr && !p->finished()) done(op);
  };
  child->Start(*this);
}

void ProtocolWorker::RunAlone(const KfsOpPtr& op) {
  op->worker_ = this;
  op->on_child_done = [](KfsOp&) {};
  op->Start(*this);
}

void ProtocolWorker::ExtendDeadline(KfsOp& op) {
  op.came_forward_ = loop().Now();
  if (op.deadline) op.deadline = op.came_forward_ + options_.timeout;
}

void ProtocolWorker::OpDone(const KfsOpPtr& op) {
  if (op->on_child_done) {
    auto done = std::move(op->on_child_done);
    done(*op);
    return;
  }
  auto it = requests_.find(op->call_id);
  assert(it != requests_.end());
  RequestPtr request = std::move(it->second);
  requests_.erase(it);
  if (!request->starting) return FinishRequest(request);
  // Never inside Execute: the caller has no CallId yet and may hold what the completion wants.
  if (deferred_.empty()) loop().Post([self = shared_from_this()] { self->RunDeferred(); });
  deferred_.push_back(std::move(request));
}

void ProtocolWorker::RunDeferred() {
  auto requests = std::move(deferred_);
  deferred_.clear();
  for (const RequestPtr& request : requests) FinishRequest(request);
}

void ProtocolWorker::FinishRequest(const RequestPtr& request) {
  KfsOp& op = request->op();
  op.Stamp(KfsOp::kDone, loop().Now());
  metrics_.Ended(op);
  const bool slow = op.stamp(KfsOp::kDone) - op.stamp(KfsOp::kQueued) >= kSlowOp && !op.waits_for_others();
  if (options_.trace || slow) LogStages(op);
  if (!op.waits_for_others()) session_->ProgramWaited(loop().Now() - op.waiting_since());
  in_flight_.fetch_sub(1);
  {
    std::lock_guard lock(mutex_);
    if (waiting_for_room_ != 0) room_.notify_all();
  }
  request->Done();
}

void ProtocolWorker::LogStages(const KfsOp& op) const {
  // Microseconds since the call; a stage that was not reached shows "-".
  auto since = [&](KfsOp::Stage stage) {
    if (op.stamp(stage) == MonoTime{}) return std::string("-");
    return fmt::format("{}us", Micros(op.stamp(stage) - op.stamp(KfsOp::kQueued)));
  };
  const std::string line = fmt::format(
      "trace={:08x} op={} call={} op_id={} queued=0us dequeued={} sent={} answered={} done={} err={}{}",
      TraceOf(op).id, op.name(), op.call_id, op.op_id, since(KfsOp::kDequeued), since(KfsOp::kSent),
      since(KfsOp::kAnswered), since(KfsOp::kDone), op.status().err(),
      op.status().ok() ? "" : " reason=\"" + op.status().message() + "\"");
  if (options_.trace) {
    KFS_LOG(info, "client.trace {}", line);
  } else {
    KFS_LOG(warn, "client.slow_op {}", line);
  }
}

const KfsOp* ProtocolWorker::OldestOp() const {
  const KfsOp* oldest = nullptr;
  for (const auto& [id, request] : requests_) {
    const KfsOp& op = request->op();
    if (op.waits_for_others()) continue;
    if (oldest == nullptr || op.waiting_since() < oldest->waiting_since()) oldest = &op;
  }
  return oldest;
}

// One line for all: whatever one waits for, most others do, too.
void ProtocolWorker::TellWaiting() {
  const KfsOp* op = OldestOp();
  const MonoTime now = loop().Now();
  const auto waited = [now](const KfsOp& o) -> Duration { return now - o.waiting_since(); };
  if (op == nullptr || waited(*op) < kWaitingTold) {
    tell_waiting_at_ = {};
    return;
  }
  if (now < tell_waiting_at_) return;
  tell_waiting_at_ = now + kWaitingToldAgain;
  const auto waiting = std::ranges::count_if(requests_, [&](const auto& r) {
    return !r.second->op().waits_for_others() && waited(r.second->op()) >= kWaitingTold;
  });
  KFS_LOG(warn, "client.waiting trace={:08x} op={} call={} seconds={} others={} why=\"{}\"", TraceOf(*op).id,
          op->name(), op->call_id, Micros(waited(*op)) / 1'000'000, waiting - 1, op->WhyWaiting());
}

void ProtocolWorker::CheckDeadlines() {
  const MonoTime now = loop().Now();
  std::vector<std::pair<MonoTime, CallId>> again;
  while (!deadlines_.empty() && deadlines_.front().first <= now) {
    const CallId id = deadlines_.front().second;
    deadlines_.pop_front();
    auto it = requests_.find(id);
    if (it == requests_.end()) continue;
    const RequestPtr request = it->second;
    KfsOp& op = request->op();
    if (op.waits_for_others() && net_.metaserver()->connected()) ExtendDeadline(op);
    if (*op.deadline > now) {
      again.emplace_back(*op.deadline, id);
      continue;
    }
    const Status why = net_.metaserver()->last_error();
    op.Finish(
        Status(ETIMEDOUT, fmt::format("{}: no answer within {} ms{}{}", op.name(),
                                      Micros(options_.timeout) / 1000, why.ok() ? "" : ": ", why.message())));
  }
  for (const auto& entry : again) {
    deadlines_.insert(std::upper_bound(deadlines_.begin(), deadlines_.end(), entry), entry);
  }
}

// Calls of one client follow each other; where another's begin is drawn by lot.
Trace ProtocolWorker::TraceOf(const KfsOp& op) const {
  if (op.call_id == 0) return {};  // nobody has called it
  const uint32_t id = first_trace_ + static_cast<uint32_t>(op.call_id);
  return {.id = id == 0 ? 1 : id, .logged = options_.trace};
}

Status ProtocolWorker::Connection() const {
  if (!session_->stopped().ok()) return session_->stopped();
  const auto& meta = net_.metaserver();
  if (stopping_ || meta == nullptr) return Status(ESHUTDOWN, "the client is shut down");
  if (meta->connected()) return {};
  const Status why = meta->last_error();
  return Status(ENOTCONN, "no metaserver is connected" + (why.ok() ? "" : ": " + why.message()));
}

void ProtocolWorker::Attached() {
  if (session_->attaches() > 1) metrics_.reconnects.Add();
  Connected(Status());
}

Duration ProtocolWorker::OldestCall() {
  const KfsOp* op = OldestOp();
  return op == nullptr ? Duration::zero() : loop().Now() - op->waiting_since();
}

void ProtocolWorker::SessionRefused(const Status& why) { session_->Refused(why); }

void ProtocolWorker::VolumeStopped() {
  const auto requests = requests_;  // Finish changes it
  for (const auto& [id, request] : requests) request->op().Finish(session_->stopped());
}

void ProtocolWorker::MutationsLost() {
  layouts_.Clear();
  std::vector<std::shared_ptr<RemoteCall>> calls;
  for (const auto& [op_id, call] : mutations_) calls.push_back(call->shared_from_this());
  for (const auto& call : calls) call->SessionLost();
}

// Others may hold the locks by now under which these were begun: done now, they would land on top of theirs.
void ProtocolWorker::HandlesLost() {
  std::vector<std::shared_ptr<RemoteCall>> calls;
  for (const auto& [op_id, call] : mutations_) {
    const Op op = call->code();
    if (op == Op::kCommitWrite || op == Op::kSetLock || op == Op::kFallocate)
      calls.push_back(call->shared_from_this());
  }
  for (const auto& call : calls) call->SessionLost();
}

}  // namespace kfs

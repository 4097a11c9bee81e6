// One POSIX-shaped call on its way: parameters, caller, status and time stamps; a subclass has the reply and
// knows the steps.
//
// Made on the caller's thread; from ProtocolWorker::Execute on it belongs to the worker's thread. Start
// begins the steps (remote calls, see remote_call.h), and Finish ends the op exactly once: with the answer,
// on Cancel (EINTR), at the deadline of a soft mount (ETIMEDOUT) or at shutdown (ECANCELED). An op that ended
// early leaves its mutations to complete under their ids.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/kfs_client.h"
#include "rpc/event_loop.h"

namespace kfs {

class ProtocolWorker;
class RemoteCall;

class KfsOp : public std::enable_shared_from_this<KfsOp> {
 public:
  enum Stage : uint8_t { kQueued, kDequeued, kSent, kAnswered, kDone, kStageCount };

  explicit KfsOp(Caller caller) : caller(std::move(caller)) {}
  virtual ~KfsOp() = default;
  KfsOp(const KfsOp&) = delete;
  KfsOp& operator=(const KfsOp&) = delete;

  virtual std::string_view name() const = 0;
  // Worker's thread, once.
  virtual void Start(ProtocolWorker& worker) = 0;
  // Somebody wants the op to end early.
  virtual void OnCancel(ProtocolWorker& worker);
  // Waits for other processes rather than for us (a lock): slow is no news, and soft's deadline counts only
  // while the metaserver is away.
  virtual bool waits_for_others() const { return false; }
  // Gives something back (an open, a lock): never refused for want of room.
  virtual bool must_run() const { return false; }

  void Finish(Status status);
  bool finished() const { return finished_; }
  const Status& status() const { return status_; }

  // A server refused a step of it, which is tried again: for whoever asks what it waits for.
  void NoteTrouble(const Status& why) { trouble_ = why; }
  // Why it has not ended, for a person: the last refusal, and which answer is awaited.
  std::string WhyWaiting() const;
  // Since when its caller has seen nothing of it.
  MonoTime waiting_since() const { return std::max(stamps_[kQueued], came_forward_); }

  // Not before an earlier one: a tick begins before what is queued in it.
  void Stamp(Stage stage, MonoTime at) { stamps_[stage] = latest_stamp_ = std::max(latest_stamp_, at); }
  MonoTime stamp(Stage stage) const { return stamps_[stage]; }

  // Runs `fn` on the worker's thread after `pause`, unless the op is finished by then. One at a time.
  void RunAfter(Duration pause, std::function<void()> fn);

  Caller caller;                     // its groups may become known on the way
  CallId call_id = 0;                // given by Execute
  uint64_t op_id = 0;                // idempotency id of its (last) mutation; 0: none
  std::optional<MonoTime> deadline;  // soft mounts
  // Steps of a larger op run without a Request: this is called instead.
  std::function<void(KfsOp&)> on_child_done;

 protected:
  // Cleans up, whatever the reason of the end; remote calls still under way are abandoned after it.
  virtual void OnFinished(ProtocolWorker&) {}

 private:
  friend class RemoteCall;
  friend class ProtocolWorker;

  ProtocolWorker* worker_ = nullptr;
  bool finished_ = false;
  Status status_;
  Status trouble_;
  MonoTime came_forward_{};    // an op of many steps
  std::weak_ptr<KfsOp> step_;  // its present one, that is an op itself
  EventLoop::Timer timer_;
  std::vector<RemoteCall*> calls_;  // under way; they take themselves out
  MonoTime stamps_[kStageCount]{}, latest_stamp_{};
};
using KfsOpPtr = std::shared_ptr<KfsOp>;

}  // namespace kfs

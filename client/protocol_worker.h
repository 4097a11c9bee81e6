// Carries requests from any thread to one worker thread, runs their ops there, and tells when they are done.
//
//   Execute -> work queue -> (one wake-up for a burst) -> Drain -> KfsOp::Start -> RemoteCalls ->
//   KfsOp::Finish -> Request::Done
//
// Called on the worker's own thread, Execute skips the queue. Everything but Execute, Cancel, WaitForRoom,
// stats() and ShowMetrics is for the worker's thread. Held by shared_ptr: calls under way keep it alive.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "client/client_metrics.h"
#include "client/file_writer.h"
#include "client/late_locks.h"
#include "client/layout_cache.h"
#include "client/lock_owners.h"
#include "client/net_manager.h"
#include "client/request.h"
#include "client/session.h"

namespace kfs {

class ProtocolWorker : public std::enable_shared_from_this<ProtocolWorker>, public SessionEnv {
 public:
  static constexpr size_t kLayoutInodesMax = 4096;
  // An op that took longer logs where its time went.
  static constexpr Duration kSlowOp = std::chrono::seconds(5);
  // While ops have waited for longer, the log says what the oldest waits for: at once, and again so often.
  static constexpr Duration kWaitingTold = std::chrono::seconds(10);
  static constexpr Duration kWaitingToldAgain = std::chrono::seconds(60);

  ProtocolWorker(KfsClient::Options options, Credentials credentials);
  ~ProtocolWorker() override;

  // ---- any thread ----
  CallId Execute(RequestPtr request);
  void Cancel(CallId id);
  // Until fewer calls are in flight than a blocking caller may add to. Not on the worker's thread.
  void WaitForRoom();
  KfsClient::Stats stats() const;
  void ShowMetrics(MetricsPage& page) const { metrics_.Show(page, in_flight_, *served_->counts()); }
  const KfsClient::Options& options() const { return options_; }
  EventLoop& loop() { return net_.loop(); }

  // ---- worker's thread ----
  // Connects and opens the session; fails after connect_timeout, or at once when there is no hope.
  void Connect(DoneStatus done);
  // Ends all ops with ECANCELED, then the session and the connections. Then nothing of it is left on the
  // loop.
  void Shutdown(DoneStatus done);
  // At once, without a goodbye.
  void Stop();
  void OnDrainReleases(std::function<void(std::function<void()>)> fn) { drain_releases_ = std::move(fn); }

  NetManager& net() { return net_; }
  Session& session() { return *session_; }
  LayoutCache& layouts() { return layouts_; }
  FileWriter& writer() { return writer_; }
  RecordLockOwners& lock_owners() { return lock_owners_; }
  LateLocks& late_locks() { return late_locks_; }
  bool stopping() const { return stopping_; }
  Status Connection() const;
  // Neither is it shut down, nor the volume stopped.
  bool serving() const { return !stopping_ && session_->stopped().ok(); }
  uint64_t chunk_size() const { return session_->chunk_size(); }
  // What its requests carry to the servers, and its lines in the log (rpc/frame.h).
  Trace TraceOf(const KfsOp& op) const;

  // Runs `child` as a step of `parent`; `done` is not called once the parent is finished.
  void RunChild(KfsOp& parent, const KfsOpPtr& child, std::function<void(KfsOp&)> done);
  // Runs an op that nobody waits for.
  void RunAlone(const KfsOpPtr& op);
  // A long op came forward: soft's deadline begins anew.
  void ExtendDeadline(KfsOp& op);

  // For KfsOp and RemoteCall.
  void OpDone(const KfsOpPtr& op);
  void AddMutation(uint64_t op_id, RemoteCall* call) { mutations_.emplace(op_id, call); }
  void RemoveMutation(uint64_t op_id) { mutations_.erase(op_id); }
  // Calls may go on although nobody waits for them: not without bound while a volume is stopped or away.
  bool MayKeepCalls() const { return mutations_.size() < 2 * options_.ops_in_flight_max; }
  void SessionRefused(const Status& why);
  void CountRetry() { metrics_.retries.Add(); }

 private:
  void Drain();
  void StartRequest(RequestPtr request);
  void FinishRequest(const RequestPtr& request);
  void RunDeferred();
  void CheckDeadlines();
  void LogStages(const KfsOp& op) const;
  // Of those that do not wait for others; null: there is none.
  const KfsOp* OldestOp() const;
  void TellWaiting();
  void CheckConnecting();
  void Connected(const Status& status);
  void ServeDrainReleases();
  void Goodbye(DoneStatus done);
  void Attached() override;
  void NotAttached(const Status& why) override { Connected(why); }
  void MutationsLost() override;
  void HandlesLost() override;
  void VolumeStopped() override;
  Duration OldestCall() override;

  const KfsClient::Options options_;
  bool told_trying_ = false;
  NetManager net_;
  const std::shared_ptr<Dispatcher> served_;  // what servers ask of a mount
  std::shared_ptr<Session> session_;
  LayoutCache layouts_{kLayoutInodesMax};
  FileWriter writer_{*this};
  RecordLockOwners lock_owners_;
  LateLocks late_locks_;

  const uint32_t first_trace_;
  std::atomic<uint64_t> next_call_{1};
  std::atomic<size_t> in_flight_{0};
  ClientMetrics metrics_;

  std::mutex mutex_;
  std::deque<RequestPtr> queue_;  // guarded by mutex_
  bool woken_ = false;            // guarded by mutex_: a Drain is on its way
  size_t waiting_for_room_ = 0;   // guarded by mutex_
  std::condition_variable room_;

  // Worker's thread.
  bool stopping_ = false;
  std::unordered_map<CallId, RequestPtr> requests_;
  std::vector<RequestPtr> deferred_;
  std::deque<std::pair<MonoTime, CallId>> deadlines_;  // soft; one timeout for all, so they are in order
  std::map<uint64_t, RemoteCall*> mutations_;  // by op id: all end in the order in which they were made
  EventLoop::Timer deadline_timer_, connect_timer_, waiting_timer_;
  MonoTime tell_waiting_at_{};
  MonoTime connect_deadline_;
  DoneStatus connect_done_;
  std::function<void(std::function<void()>)> drain_releases_;
};

}  // namespace kfs

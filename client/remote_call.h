// One request to one server on behalf of an op, with everything that "exactly once" (P3) asks of the client:
//
//   - a mutation gets its idempotency id here, once, and keeps it through resends (NetClient) and repeats
//     (kTryAgain);
//   - kTryAgain is repeated after a pause (20 ms, doubling to 1 s) for as long as the op lives;
//   - so is kNotOwner (the volume has moved: the session looks for it meanwhile);
//   - kUnknownSession: a mutation ends with EIO (whether it happened is unknown; never repeated under another
//     session), other requests are repeated under the next session;
//   - kStopped ends the op at once, and all others, with ESHUTDOWN (see Session);
//   - when its op ends early, a mutation (or a call with `keep`) that may have been executed goes on until it
//     is answered, so that its effects can be accounted for, and so does one that gives something back; other
//     calls are withdrawn. With a stopped volume that is when it is started.
//
// `done` runs exactly once, on the worker's thread; the op may be finished by then. Keeps itself alive until
// then.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/kfs_op.h"
#include "client/recent_changes.h"
#include "proto/logged.h"
#include "rpc/net_client.h"

namespace kfs {

class RemoteCall : public std::enable_shared_from_this<RemoteCall> {
 public:
  struct Spec {
    KfsOpPtr op;  // null: nobody waits (a release after a cancelled open)
    Op code{};
    std::unique_ptr<google::protobuf::MessageLite> request;
    pb::Context* context = nullptr;  // inside `request`; null: it has none
    bool mutates = false;
    bool logged = false;  // proto/logged.h
    Touched touched{};
    bool keep = false;
    Slices payload;
    std::string address;  // a chunkserver; empty: the metaserver
    std::function<void(Answer&)> done;
  };
  static void Start(ProtocolWorker& worker, Spec spec);

  // Typed calls: fn(Status, Reply&) for the metaserver; fn(Answer&, Reply&) for chunkservers, who give more
  // than a Status.
  template <typename Rpc, typename Fn>
  static void Meta(ProtocolWorker& worker, KfsOpPtr op, typename Rpc::Request request, Fn fn,
                   bool keep = false);
  template <typename Rpc, typename Fn>
  static void Chunk(ProtocolWorker& worker, KfsOpPtr op, const std::string& address,
                    typename Rpc::Request request, Slices payload, Fn fn);

  RemoteCall(ProtocolWorker& worker, Spec spec);

  // The op has ended.
  void Abandon();
  // The session that the mutation belongs to is gone.
  void SessionLost();
  // What has not come yet, for a person.
  std::string Awaits() const;
  bool mutates() const { return spec_.mutates; }
  Op code() const { return spec_.code; }

 private:
  void Send();
  void Answered(Answer answer);
  void Complete(Answer& answer);
  void SendAfterPause();
  bool MayHaveBeenSent() const;
  bool MayHaveBeenSentTwice() const;
  bool GoesOn() const;

  const std::shared_ptr<ProtocolWorker> worker_;
  Spec spec_;
  uint64_t op_id_ = 0;
  bool in_net_ = false;  // the NetClient has it, as net_id_
  uint64_t net_id_ = 0;
  std::weak_ptr<NetClient> net_;
  bool session_lost_ = false;
  bool completed_ = false;
  const MonoTime began_;
  bool sent_attached_ = false;  // at Enqueue the session was attached, so it left at once
  uint64_t attaches_at_enqueue_ = 0;
  bool maybe_done_ = false;  // refused the last time, but it may have been executed before
  Duration pause_{};
  EventLoop::Timer pause_timer_;
};

template <typename Rpc, typename Fn>
void RemoteCall::Meta(ProtocolWorker& worker, KfsOpPtr op, typename Rpc::Request request, Fn fn, bool keep) {
  const Touched touched = TouchedBy(request);
  const bool logged = Rpc::kMutates && IsLogged(request);
  auto owned = std::make_unique<typename Rpc::Request>(std::move(request));
  pb::Context* context = nullptr;
  if constexpr (requires { owned->mutable_ctx(); }) context = owned->mutable_ctx();
  Start(worker, {.op = std::move(op),
                 .code = Rpc::kOp,
                 .request = std::move(owned),
                 .context = context,
                 .mutates = Rpc::kMutates,
                 .logged = logged,
                 .touched = touched,
                 .keep = keep,
                 .payload = {},
                 .address = {},
                 .done = [fn = std::move(fn)](Answer& answer) mutable {
                   typename Rpc::Reply reply;
                   Status status = ParseAnswer(answer, &reply);
                   fn(std::move(status), reply);
                 }});
}

template <typename Rpc, typename Fn>
void RemoteCall::Chunk(ProtocolWorker& worker, KfsOpPtr op, const std::string& address,
                       typename Rpc::Request request, Slices payload, Fn fn) {
  Start(worker, {.op = std::move(op),
                 .code = Rpc::kOp,
                 .request = std::make_unique<typename Rpc::Request>(std::move(request)),
                 .context = nullptr,
                 .mutates = false,
                 .logged = false,
                 .touched = {},
                 .keep = false,
                 .payload = std::move(payload),
                 .address = address,
                 .done = [fn = std::move(fn)](Answer& answer) mutable {
                   typename Rpc::Reply reply;
                   if (answer.status.ok()) answer.status = ParseAnswer(answer, &reply);
                   fn(answer, reply);
                 }});
}

}  // namespace kfs

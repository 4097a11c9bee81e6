// How a worker finds its metaserver and its session, what it serves there, and how it leaves.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "client/protocol_worker.h"
#include "client/remote_call.h"
#include "common/log.h"
#include "proto/op_types.h"

namespace kfs {
namespace {

constexpr Duration kShutdownMax = std::chrono::seconds(2);

}  // namespace

void ProtocolWorker::Connect(DoneStatus done) {
  connect_done_ = std::move(done);
  if (const Status s = served_->Complete(); !s.ok()) return Connected(s);
  connect_deadline_ = loop().Now() + options_.connect_timeout;
  net_.Start();
  const auto& meta = net_.metaserver();
  meta->OnConnected([session = session_](const ConnectionPtr& c, NetClient::ReadyFn ready) {
    session->Attach(c, std::move(ready));
  });
  meta->OnDisconnected([session = session_](const Status&) { session->Disconnected(); });
  meta->Serve(served_);
  session_->KeepAlive(meta);
  meta->KeepConnected();
  connect_timer_ = loop().RunEvery(std::chrono::milliseconds(20), [this] { CheckConnecting(); });
  waiting_timer_ = loop().RunEvery(std::chrono::seconds(1), [this] { TellWaiting(); });
  if (options_.soft) {
    const Duration period =
        std::clamp<Duration>(options_.timeout / 10, std::chrono::milliseconds(10), std::chrono::seconds(1));
    deadline_timer_ = loop().RunEvery(period, [this] { CheckDeadlines(); });
  }
}

void ProtocolWorker::CheckConnecting() {
  const Status why = net_.metaserver()->last_error();
  const bool hopeless = why.code() == Code::kBadProof || why.code() == Code::kWrongCluster ||
                        why.code() == Code::kWrongVersion || why.err() == EDESTADDRREQ;
  if (hopeless) return Connected(why);
  if (!why.ok() && options_.on_trying && !std::exchange(told_trying_, true)) options_.on_trying(why);
  if (loop().Now() < connect_deadline_) return;
  const int err = why.ok() ? ETIMEDOUT : why.err();
  if (const std::string& owner = session_->metaservers().owner(); !owner.empty()) {
    // It runs and answers, as somebody else.
    if (session_->another_at_owner()) {
      return Connected(Status(
          err, Code::kNotOwner,
          fmt::format("volume \"{0}\" is served by the metaserver at {1}, but another metaserver answers at "
                      "that address: start each metaserver with its own data-dir; 'kfs health' says which "
                      "answers where (metaserver.swapped)",
                      options_.volume, owner)));
    }
    return Connected(
        Status(err, fmt::format("volume \"{}\" is served by the metaserver at {}, which cannot be "
                                "used{}{}; is it running, and can it be reached from here?",
                                options_.volume, owner, why.ok() ? "" : ": ", why.message())));
  }
  std::string servers;
  for (const auto& s : options_.metaservers) servers += (servers.empty() ? "" : ", ") + s;
  Connected(
      Status(err, fmt::format("no metaserver answers at {}{}{}; is it running, and is the address right?",
                              servers, why.ok() ? "" : ": ", why.message())));
}

void ProtocolWorker::Connected(const Status& status) {
  if (!connect_done_) return;
  connect_timer_.Cancel();
  // Not from inside the NetClient's callback: a failure destroys it.
  loop().Post([done = std::move(connect_done_), status] { done(status); });
  connect_done_ = nullptr;
}

void ProtocolWorker::ServeDrainReleases() {
  served_->Handle<rpc::DrainReleases>([this](const IncomingCallPtr& call, const pb::DrainReleasesRequest&) {
    auto answered = [call] {
      if (!call->answered()) call->Reply(pb::DrainReleasesReply());
    };
    if (!drain_releases_) return answered();
    drain_releases_(answered);
  });
  served_->counts()->Of(Op::kDrainReleases);  // shown from the beginning
}

void ProtocolWorker::Shutdown(DoneStatus done) {
  if (stopping_) return done(Status());
  Drain();
  stopping_ = true;
  const auto requests = requests_;
  for (const auto& [id, request] : requests)
    request->op().Finish(Status(ECANCELED, "the client is shutting down"));
  if (writer_.settling().idle() || net_.metaserver() == nullptr || !net_.metaserver()->connected())
    return Goodbye(std::move(done));
  // The goodbye gives locks on: not before what was being written is settled. Else the session runs out.
  const auto self = shared_from_this();
  auto patience = std::make_shared<EventLoop::Timer>();
  *patience = loop().RunAfter(kShutdownMax, [self, done] {
    KFS_LOG(warn,
            "client.no_goodbye reason=\"writes under way could not be settled\" effect=\"the session, with "
            "its locks, lives until its time is up\"");
    self->Stop();
    done(Status());
  });
  writer_.settling().OnIdle([self, patience, done] {
    patience->Cancel();
    self->loop().Post([self, done] { self->Goodbye(done); });
  });
}

void ProtocolWorker::Goodbye(DoneStatus done) {
  auto stop = [self = shared_from_this(), done = std::move(done)](Answer) {
    self->loop().Post([self, done] {
      self->Stop();
      done(Status());
    });
  };
  if (net_.metaserver() == nullptr || !net_.metaserver()->connected()) return stop({});
  net_.metaserver()->Enqueue({.op = Op::kCloseSession,
                              .request = &pb::CloseSessionRequest::default_instance(),
                              .payload = {},
                              .timeout = kShutdownMax,
                              .resend = false,
                              .done = stop});
}

void ProtocolWorker::Stop() {
  stopping_ = true;
  const auto requests = requests_;
  for (const auto& [id, request] : requests)
    request->op().Finish(Status(ECANCELED, "the client is shutting down"));
  deadline_timer_.Cancel();
  waiting_timer_.Cancel();
  connect_timer_.Cancel();
  connect_done_ = nullptr;
  session_->Stop();
  writer_.settling().Stop();
  net_.Stop();
  // Calls that nobody waits for and that were pausing.
  while (!mutations_.empty()) mutations_.begin()->second->shared_from_this()->Abandon();
  drain_releases_ = nullptr;
  RunDeferred();
  Drain();
}

}  // namespace kfs

#include "rpc/net_client.h"

#include <cassert>
#include <utility>

#include "common/reached.h"
#include "rpc/net_client_impl.h"

namespace kfs {
NetClient::NetClient(EventLoop& loop, Options options)
    : impl_(std::make_shared<Impl>(loop, std::move(options))) {}
NetClient::~NetClient() { Close(); }

uint64_t NetClient::Enqueue(Call call) {
  Impl& i = *impl_;
  uint64_t id = i.next_id++;
  Status refused;
  if (i.state == Impl::kClosed) refused = Status(ECANCELED, i.options.name + ": the client is closing");
  if (i.state == Impl::kFailed) refused = i.last_error;
  if (i.pending.size() >= i.options.pending_max) {
    refused = Status(EAGAIN, Code::kTryAgain, i.options.name + ": too many calls are waiting");
  }
  Result<std::string> frame = EncodeFrame(call.op, 0, 1, *call.request, call.payload.size());
  if (refused.ok()) refused = frame.status();
  if (!refused.ok()) {
    i.loop.Post([done = std::move(call.done), refused] { done(Answer(refused)); });
    return id;
  }
  Impl::Pending p;
  p.op = call.op;
  p.frame = std::make_shared<std::string>(std::move(*frame));
  p.payload = std::move(call.payload);
  p.trace = call.trace;
  p.resend = call.resend;
  p.done = std::move(call.done);
  if (call.timeout) p.deadline = i.loop.Now() + *call.timeout;
  auto [at, inserted] = i.pending.emplace(id, std::move(p));
  i.StartWatchdog();
  if (i.state == Impl::kReady) {
    i.SendOne(id, at->second);
  } else if (i.state == Impl::kIdle) {
    i.Connect();
  }
  return id;
}

bool NetClient::Cancel(uint64_t id) {
  auto found = impl_->pending.find(id);
  if (found == impl_->pending.end()) return false;
  impl_->Finish(id, Status(ECANCELED, std::string(OpName(found->second.op)) + " was cancelled"));
  return true;
}

void NetClient::OnConnected(std::function<void(const ConnectionPtr&, ReadyFn)> fn) {
  impl_->on_connected = std::move(fn);
}
void NetClient::Serve(std::shared_ptr<Dispatcher> dispatcher) {
  assert(dispatcher != nullptr);
  impl_->dispatcher = std::move(dispatcher);
}
void NetClient::OnDisconnected(std::function<void(const Status&)> fn) {
  impl_->on_disconnected = std::move(fn);
}

void NetClient::SetAddresses(std::vector<std::string> addresses) {
  assert(!addresses.empty());
  impl_->addresses = std::move(addresses);
  impl_->next_address = 0;
}

void NetClient::SetCredentials(Credentials credentials) {
  impl_->options.credentials = std::move(credentials);
}
const std::string& NetClient::address() const { return impl_->address; }
void NetClient::RetryAfter(Duration pause) { impl_->next_pause = pause; }

void NetClient::Reconnect(const Status& why) {
  if (impl_->state != Impl::kClosed && impl_->state != Impl::kFailed && impl_->connection != nullptr)
    impl_->Lost(why);
}

void NetClient::KeepConnected() {
  impl_->keep_connected = true;
  impl_->StartWatchdog();
  if (impl_->state == Impl::kIdle) impl_->Connect();
}

bool NetClient::connected() const { return impl_->state == Impl::kReady; }
bool NetClient::linked() const { return impl_->connection != nullptr; }
Status NetClient::last_error() const { return impl_->last_error; }
const std::string& NetClient::server_cluster_id() const { return impl_->server_cluster_id; }
const std::string& NetClient::server_software() const { return impl_->server_software; }
const std::string& NetClient::shown_key_id() const { return impl_->shown_key_id; }
size_t NetClient::pending() const { return impl_->pending.size(); }
uint64_t NetClient::reconnects() const { return impl_->reconnects; }

void NetClient::Close() {
  if (impl_->state == Impl::kClosed) return;
  auto keep = impl_;
  keep->state = Impl::kClosed;
  ++keep->attempt;
  keep->backoff_timer.Cancel();
  keep->connect_timer.Cancel();
  keep->watchdog.Cancel();
  keep->dialing.reset();
  const ConnectionPtr c = std::move(keep->connection);
  // Before the connection ends its calls: those that must not be sent again would be told that it was lost.
  keep->FinishAll(Status(ECANCELED, keep->options.name + ": the client is closing"));
  if (c == nullptr) return;
  // What was queued (a goodbye) may still leave. Not a greeting: nobody may be there who takes it.
  if (c->greeted && c->bytes_queued() != 0) {
    c->CloseAfterFlush(Status(ECANCELED, "closing"));
  } else {
    c->Close(Status(ECANCELED, "closing"));
  }
}

void NetClient::Impl::SendOne(uint64_t id, Pending& p) {
  p.sent = true;
  p.seq = connection->CallEncoded(
      p.frame, p.payload,
      [weak = weak_from_this(), id](Answer answer) {
        if (auto self = weak.lock()) self->OnAnswer(id, std::move(answer));
      },
      p.trace);
}

void NetClient::Impl::OnAnswer(uint64_t id, Answer answer) {
  auto found = pending.find(id);
  if (found == pending.end()) return;
  if (answer.status.code() == Code::kConnectionLost && found->second.resend && state != kClosed) {
    KFS_REACHED("request.goes_on_the_next_link");
    found->second.sent = false;  // Lost() follows and sends it again
    return;
  }
  AnswerFn done = std::move(found->second.done);
  pending.erase(found);
  done(std::move(answer));
}

void NetClient::Impl::Finish(uint64_t id, Status status) {
  auto found = pending.find(id);
  if (found == pending.end()) return;
  if (found->second.sent && connection != nullptr) connection->Forget(found->second.seq);
  AnswerFn done = std::move(found->second.done);
  pending.erase(found);
  done(Answer(std::move(status)));
}

void NetClient::Impl::FinishAll(const Status& status) {
  while (!pending.empty()) Finish(pending.begin()->first, status);
}

void NetClient::Impl::StartWatchdog() {
  if (watchdog.active()) return;
  watchdog = loop.RunEvery(std::chrono::milliseconds(100), [this] { Watchdog(); });
}

void NetClient::Impl::Watchdog() {
  auto keep = shared_from_this();
  const MonoTime now = loop.Now();
  std::vector<uint64_t> late;
  for (auto& [id, p] : pending) {
    if (p.deadline && now >= *p.deadline) late.push_back(id);
  }
  for (uint64_t id : late) {
    std::string why = last_error.ok() ? "no answer in time" : last_error.message();
    Finish(id, Status(ETIMEDOUT, options.name + ": " + why));
  }
  if (state == kReady && (!pending.empty() || keep_connected)) {
    auto silent = now - connection->last_received();
    if (silent < options.silence) {
      ping_sent = false;
    } else if (silent > 2 * options.silence) {
      KFS_REACHED("link.silent");
      return Lost(Status(ETIMEDOUT, options.name + " has fallen silent"));
    } else if (!ping_sent) {
      ping_sent = true;
      connection->Call(Op::kPing, pb::PingRequest(), {}, [](Answer) {});
    }
  }
  if (pending.empty() && !keep_connected) watchdog.Cancel();
}

}  // namespace kfs

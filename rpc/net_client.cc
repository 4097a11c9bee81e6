#include "rpc/net_client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cassert>
#include <map>
#include <random>
#include <utility>

#include "common/log.h"
#include "rpc/address.h"
#include "rpc/event_loop_impl.h"
#include "rpc/hello.h"
#include "rpc/local_socket.h"
#include "rpc/tls_stream.h"

namespace kfs {

namespace asio = boost::asio;

// One state at a time:
//
//   kIdle -> kConnecting (resolve, connect) -> kGreeting (Hello) -> kAttaching (on_connected) -> kReady
//     ^          |                                |                     |                          |
//     +- kBackoff <---------------------- any failure -----------------------------------------+
//   kFailed: a fatal error; kClosed: Close() was called.
struct NetClient::Impl : std::enable_shared_from_this<NetClient::Impl> {
  enum State { kIdle, kConnecting, kGreeting, kAttaching, kReady, kBackoff, kFailed, kClosed };

  struct Pending {
    Op op{};
    std::shared_ptr<std::string> frame;
    SharedBuffer payload;
    std::optional<MonoTime> deadline;
    bool resend = true;
    bool sent = false;  // on the present connection, under `seq`
    uint64_t seq = 0;
    AnswerFn done;
  };

  Impl(EventLoop& l, Options o)
      : loop(l), options(std::move(o)), random(std::random_device()()), addresses(options.addresses) {}

  void Connect();
  void TryAddress(std::vector<SocketAddress> found, size_t index);
  void OnSocket(int fd);
  void OnGreeted(const pb::HelloReply& reply, const std::string& key_id);
  std::unique_ptr<ByteStream> Stream(int fd, const Credentials& shown);
  Credentials Shown();
  bool TryOlder();
  void Refused(const Status& why);
  void OnReady();
  void Trouble(const Status& why, bool fatal);
  void Lost(const Status& why);
  void SendOne(uint64_t id, Pending& p);
  void OnAnswer(uint64_t id, Answer answer);
  void Finish(uint64_t id, Status status);
  void FinishAll(const Status& status);
  void StartWatchdog();
  void Watchdog();
  Duration Backoff();

  EventLoop& loop;
  Options options;  // constant but for the credentials
  std::mt19937_64 random;

  State state = kIdle;
  bool keep_connected = false;
  bool ever_ready = false;
  std::vector<std::string> addresses;
  size_t next_address = 0;
  std::string address;   // of the present or last attempt
  uint64_t attempt = 0;  // of connecting; late results of earlier ones are dropped
  int failures = 0;
  std::optional<Duration> next_pause;  // once, instead of the back-off
  uint64_t reconnects = 0;
  ConnectionPtr connection;
  std::unique_ptr<asio::posix::stream_descriptor> connecting;
  EventLoop::Timer backoff_timer, connect_timer, watchdog;
  Status last_error;
  std::string server_cluster_id;
  // With tls = accept: the last attempt ended as if the server had no TLS, and it has never been seen with
  // it.
  bool plain_next = false, seen_tls = false, said_plain = false;
  // With an older root secret: it is shown next; the server knows the newer one.
  bool older_next = false, knows_newer = false;
  std::string shown_key_id;

  std::map<uint64_t, Pending> pending;  // in the order of Enqueue
  uint64_t next_id = 1;
  bool ping_sent = false;

  std::function<void(const ConnectionPtr&, ReadyFn)> on_connected;
  std::function<void(IncomingCallPtr)> on_request;
  std::function<void(const Status&)> on_disconnected;
};

namespace {

Answer ErrorAnswer(Status status) {
  return Answer{.status = std::move(status), .detail = 0, .body = {}, .payload = {}};
}

}  // namespace

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
  if (!refused.ok()) {
    i.loop.Post([done = std::move(call.done), refused] { done(ErrorAnswer(refused)); });
    return id;
  }
  Impl::Pending p;
  p.op = call.op;
  size_t payload_size = call.payload != nullptr ? call.payload->size() : 0;
  p.frame = std::make_shared<std::string>(EncodeFrame(call.op, 0, 1, *call.request, payload_size));
  p.payload = std::move(call.payload);
  p.resend = call.resend;
  p.done = std::move(call.done);
  if (call.timeout) p.deadline = std::chrono::steady_clock::now() + *call.timeout;
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
void NetClient::OnRequest(std::function<void(IncomingCallPtr)> fn) { impl_->on_request = std::move(fn); }
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
  keep->connecting.reset();
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

void NetClient::Impl::Connect() {
  state = kConnecting;
  uint64_t mine = ++attempt;
  if (addresses.empty())
    return Trouble(Status(EDESTADDRREQ, options.name + ": no address is configured"), true);
  address = addresses[next_address++ % addresses.size()];
  connect_timer = loop.RunAfter(options.connect_timeout, [this, mine] {
    if (mine == attempt) {
      Trouble(Status(ETIMEDOUT, fmt::format("{} at {} does not answer", options.name, address)), false);
    }
  });
  ResolveAddress(loop, address, kMetaserverPort, std::weak_ptr<void>(shared_from_this()),
                 [this, mine](Result<std::vector<SocketAddress>> found) {
                   if (mine != attempt) return;
                   if (!found.ok()) return Trouble(found.status(), false);
                   TryAddress(std::move(*found), 0);
                 });
}

void NetClient::Impl::TryAddress(std::vector<SocketAddress> found, size_t index) {
  uint64_t mine = attempt;
  std::string distrust;
  if (int local = ConnectLocally(options.credentials.policy().socket_dir, found[index], &distrust);
      local >= 0)
    return OnSocket(local);
  if (!distrust.empty())
    KFS_LOG(warn, "net.local_socket_refused server=\"{}\" reason=\"{}\"", options.name, distrust);
  auto fd = StartConnect(found[index]);
  if (!fd.ok()) {
    if (index + 1 < found.size()) return TryAddress(std::move(found), index + 1);
    return Trouble(Status(fd.status().err(),
                          fmt::format("cannot connect to {} at {}", options.name, found[index].ToString())),
                   false);
  }
  connecting = std::make_unique<asio::posix::stream_descriptor>(loop.impl().context, *fd);
  connecting->async_wait(
      asio::posix::stream_descriptor::wait_write,
      [weak = weak_from_this(), mine, found, index](const boost::system::error_code& error) mutable {
        auto self = weak.lock();
        if (error || self == nullptr || mine != self->attempt) return;
        int socket = self->connecting->release();
        self->connecting.reset();
        if (int err = ConnectResult(socket); err != 0) {
          close(socket);
          if (index + 1 < found.size()) return self->TryAddress(std::move(found), index + 1);
          return self->Trouble(Status(err, fmt::format("cannot connect to {} at {}", self->options.name,
                                                       found[index].ToString())),
                               false);
        }
        self->OnSocket(socket);
      });
}

// What this attempt shows.
Credentials NetClient::Impl::Shown() {
  const auto& older = options.credentials.older();
  const bool older_now = std::exchange(older_next, false) && older != nullptr && !knows_newer &&
                         options.may_be_older && options.may_be_older();
  return older_now ? *older : options.credentials;
}

// It does not know what was shown, and has never been seen to: with the next attempt it is the older one's
// turn. False: there is none, or it has just been shown.
bool NetClient::Impl::TryOlder() {
  const auto& older = options.credentials.older();
  if (older == nullptr || knows_newer || shown_key_id == older->key_id()) return false;
  return older_next = options.may_be_older && options.may_be_older();
}

std::unique_ptr<ByteStream> NetClient::Impl::Stream(int fd, const Credentials& shown) {
  const TlsMode mode = options.credentials.policy().tls;
  const bool plain = mode == TlsMode::kOff || (mode == TlsMode::kAccept && std::exchange(plain_next, false));
  if (plain || PeerAddress(fd).starts_with("unix:")) return SocketStream(loop, fd);
  const LinkEnds ends{options.role, options.id, shown.key_id(), options.server_role, options.server_uuid};
  if (!PskIdentity(ends).ok()) return nullptr;
  return TlsConnect(loop, fd, ends, shown.key());
}

void NetClient::Impl::OnSocket(int fd) {
  state = kGreeting;
  if (options.hard_close) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
  const Credentials shown = Shown();
  shown_key_id = shown.key_id();
  std::unique_ptr<ByteStream> stream = Stream(fd, shown);
  if (stream == nullptr) {
    close(fd);
    return Trouble(Status(EINVAL, options.name + ": our id or our key's name cannot be used on a link"),
                   true);
  }
  uint64_t mine = attempt;
  auto weak = weak_from_this();
  connection =
      Connection::Adopt(loop, std::move(stream),
                        {.on_request =
                             [weak](IncomingCallPtr call) {
                               auto self = weak.lock();
                               if (self != nullptr && self->on_request && call->connection()->greeted) {
                                 self->on_request(std::move(call));
                               } else {
                                 call->Fail(Status(EOPNOTSUPP, "this client serves no requests"));
                               }
                             },
                         .on_close =
                             [weak, mine](Status why) {
                               auto self = weak.lock();
                               if (self != nullptr && mine == self->attempt) self->Lost(why);
                             }});
  Greet(connection,
        {.role = options.role,
         .id = options.id,
         .cluster_id = options.cluster_id,
         .credentials = shown,
         .server_role = options.server_role,
         .server_uuid = options.server_uuid},
        [weak, mine, key_id = shown.key_id()](Result<pb::HelloReply> reply) {
          auto self = weak.lock();
          if (self == nullptr || mine != self->attempt) return;
          if (reply.ok()) return self->OnGreeted(*reply, key_id);
          if (reply.status().code() == Code::kConnectionLost) return;  // on_close follows and says more
          self->Refused(reply.status());
        });
}

// The server does not want us, or is not whom we want.
void NetClient::Impl::Refused(const Status& why) {
  const Code code = why.code();
  const bool fatal = code == Code::kWrongCluster || code == Code::kBadProof || code == Code::kWrongVersion;
  const bool older = code == Code::kBadProof && TryOlder();
  const bool give_up = fatal && !ever_ready && options.may_give_up && !older;
  if (fatal && !give_up && last_error.ToString() != why.ToString())
    KFS_LOG(warn, "net.refused server=\"{}\" reason=\"{}\"", options.name, why.ToString());
  Trouble(why, give_up);
}

void NetClient::Impl::OnGreeted(const pb::HelloReply& reply, const std::string& key_id) {
  state = kAttaching;
  knows_newer |= key_id == options.credentials.key_id();
  const std::string_view kind = connection->stream().kind();
  seen_tls |= kind == "tls";
  if (kind == "plain" && !std::exchange(said_plain, true)) {
    KFS_LOG(warn,
            "link.plain server=\"{}\" address={} tls={} next=\"whoever is in the network can read and change "
            "what "
            "goes over this link; set tls = required at both ends\"",
            options.name, connection->peer_address(), TlsModeName(options.credentials.policy().tls));
  }
  server_cluster_id = reply.cluster_id();
  connection->hello.set_role(pb::HelloRequest::METASERVER);
  if (!on_connected) return OnReady();
  uint64_t mine = attempt;
  on_connected(connection, [weak = weak_from_this(), mine](Status status, bool fatal) {
    auto self = weak.lock();
    if (self == nullptr || mine != self->attempt || self->state != kAttaching) return;
    if (!status.ok()) return self->Trouble(status, fatal);
    self->OnReady();
  });
}

void NetClient::Impl::OnReady() {
  connect_timer.Cancel();
  state = kReady;
  failures = 0;
  next_pause.reset();
  last_error = Status();
  if (ever_ready) {
    ++reconnects;
    KFS_LOG(info, "net.reconnected server=\"{}\" address={} pending={}", options.name,
            connection->peer_address(), pending.size());
  }
  ever_ready = true;
  for (auto& [id, p] : pending) {
    if (!p.sent) SendOne(id, p);
  }
}

void NetClient::Impl::SendOne(uint64_t id, Pending& p) {
  p.sent = true;
  p.seq = connection->CallEncoded(p.frame, p.payload, [weak = weak_from_this(), id](Answer answer) {
    if (auto self = weak.lock()) self->OnAnswer(id, std::move(answer));
  });
}

void NetClient::Impl::OnAnswer(uint64_t id, Answer answer) {
  auto found = pending.find(id);
  if (found == pending.end()) return;
  if (answer.status.code() == Code::kConnectionLost && found->second.resend && state != kClosed) {
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
  done(ErrorAnswer(std::move(status)));
}

void NetClient::Impl::FinishAll(const Status& status) {
  while (!pending.empty()) Finish(pending.begin()->first, status);
}

void NetClient::Impl::Lost(const Status& why) {
  if (state == kClosed || state == kFailed || state == kBackoff) return;
  if (state == kGreeting && why.code() == Code::kBadProof)
    return Refused(Status(EACCES, why.code(), why.message()));
  // kTryAgain: it ended the connection when TLS began. It may be of before TLS, or just have been killed.
  if (state == kGreeting && why.code() == Code::kTryAgain) plain_next = !seen_tls;
  bool was_ready = state == kReady;
  if (was_ready)
    KFS_LOG(info, "net.connection_lost server=\"{}\" reason=\"{}\" pending={}", options.name, why.message(),
            pending.size());
  // A server that answers a greeting with an error closes after it; that error, not the close, is the reason
  // to tell.
  Trouble(why, false);
  if (was_ready && on_disconnected) on_disconnected(why);
}

void NetClient::Impl::Trouble(const Status& why, bool fatal) {
  auto keep = shared_from_this();
  ++attempt;
  ping_sent = false;
  connect_timer.Cancel();
  connecting.reset();
  last_error = why;
  state = fatal ? kFailed : kBackoff;
  if (auto c = std::move(connection)) c->Close(why);
  std::vector<uint64_t> unsaveable;
  for (auto& [id, p] : pending) {
    p.sent = false;
    if (!p.resend) unsaveable.push_back(id);
  }
  for (uint64_t id : unsaveable) Finish(id, Status(EIO, Code::kConnectionLost, why.message()));
  if (fatal) {
    KFS_LOG(error, "net.gave_up server=\"{}\" reason=\"{}\"", options.name, why.ToString());
    FinishAll(why);
    return;
  }
  if (state != kBackoff) return;  // closed by one of the completions
  ++failures;
  const auto asked = std::exchange(next_pause, std::nullopt);
  if (pending.empty() && !keep_connected) {
    state = kIdle;
    return;
  }
  backoff_timer = loop.RunAfter(asked ? *asked : Backoff(), [this] {
    if (state == kBackoff) Connect();
  });
}

Duration NetClient::Impl::Backoff() {
  // The first try is made at once: a restarted server is the common case.
  Duration base = options.backoff_min * (1ll << std::min(failures - 1, 20));
  base = std::min(base, options.backoff_max);
  std::uniform_real_distribution<double> jitter(0.5, 1.0);
  return std::chrono::duration_cast<Duration>(base * jitter(random));
}

void NetClient::Impl::StartWatchdog() {
  if (watchdog.active()) return;
  watchdog = loop.RunEvery(std::chrono::milliseconds(100), [this] { Watchdog(); });
}

void NetClient::Impl::Watchdog() {
  auto keep = shared_from_this();
  auto now = std::chrono::steady_clock::now();
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
      return Lost(Status(ETIMEDOUT, options.name + " has fallen silent"));
    } else if (!ping_sent) {
      ping_sent = true;
      connection->Call(Op::kPing, pb::PingRequest(), nullptr, [](Answer) {});
    }
  }
  if (pending.empty() && !keep_connected) watchdog.Cancel();
}

}  // namespace kfs

// A NetClient's way to a connection on which calls may leave: dialing, greeting, and what comes
// after a failure of each.
#include <fmt/format.h>

#include <algorithm>

#include "common/log.h"
#include "rpc/hello.h"
#include "rpc/net_client_impl.h"
#include "rpc/tls_stream.h"

namespace kfs {

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
  dialing = loop.network().Dial(loop, address,
                                {.whom = options.name,
                                 .socket_dir = options.credentials.policy().socket_dir,
                                 .hard_close = options.hard_close},
                                [this, mine](Result<std::unique_ptr<ByteStream>> plain) {
                                  auto keep = shared_from_this();
                                  if (mine != attempt) return;
                                  auto done = std::move(dialing);
                                  if (!plain.ok()) return Trouble(plain.status(), false);
                                  OnDialed(std::move(*plain));
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

std::unique_ptr<ByteStream> NetClient::Impl::Stream(std::unique_ptr<ByteStream> raw,
                                                    const Credentials& shown) {
  const TlsMode mode = options.credentials.policy().tls;
  const bool plain = mode == TlsMode::kOff || (mode == TlsMode::kAccept && std::exchange(plain_next, false));
  if (plain || raw->kind() == std::string_view("unix")) return raw;
  const LinkEnds ends{options.role, options.id, shown.key_id(), options.server_role, options.server_uuid};
  if (!PskIdentity(ends).ok()) return nullptr;
  return TlsConnect(loop, std::move(raw), ends, shown.key());
}

void NetClient::Impl::OnDialed(std::unique_ptr<ByteStream> plain) {
  state = kGreeting;
  const Credentials shown = Shown();
  shown_key_id = shown.key_id();
  std::unique_ptr<ByteStream> stream = Stream(std::move(plain), shown);
  if (stream == nullptr)
    return Trouble(Status(EINVAL, options.name + ": our id or our key's name cannot be used on a link"),
                   true);
  uint64_t mine = attempt;
  auto weak = weak_from_this();
  connection = Connection::Adopt(loop, std::move(stream),
                                 {.on_request =
                                      [weak](IncomingCallPtr call) {
                                        auto self = weak.lock();
                                        if (self == nullptr || self->state == kClosed) return;
                                        if (!call->connection()->greeted)
                                          return call->Fail(Malformed("greet first"));
                                        self->dispatcher->Dispatch(std::move(call));
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
  server_software = reply.software();
  connection->hello.set_role(options.server_role);
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
  dialing.reset();
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

}  // namespace kfs

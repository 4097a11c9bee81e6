#include "rpc/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"
#include "rpc/address.h"
#include "rpc/hello.h"
#include "rpc/stall.h"
#include "rpc/unknown_peers.h"

namespace kfs {
namespace {

constexpr size_t kConnectionsMax = 16384;
constexpr auto kGreetingTimeout = std::chrono::seconds(10);
// Connections taken from the queue at once; those that are served have their turn in between.
constexpr int kAcceptsAtOnce = 32;
constexpr auto kAcceptPause = std::chrono::milliseconds(1);

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(EventLoop& l, ServerIdentity i) : loop(l), identity(std::move(i)) {}

  void Accept();
  void OnRequest(IncomingCallPtr call);
  void OnHello(IncomingCallPtr call);
  void OnHelloProof(IncomingCallPtr call);
  void OnClose(const ConnectionPtr& c, const Status& why);
  void CloseUngreeted();
  void CloseEarlierOf(const Connection& newest);
  void Dispatch(IncomingCallPtr call);

  EventLoop& loop;
  ServerIdentity identity;
  int listen_fd = -1;
  std::string address;
  std::unique_ptr<EventLoop::Watch> watch;
  EventLoop::Timer greeting_timer, accept_pause;
  std::unordered_map<uint16_t, Handler> handlers;
  std::function<void(const ConnectionPtr&)> on_disconnect;
  std::unordered_set<ConnectionPtr> connections;
  UnknownPeers unknown;  // those of `connections` that have not greeted
  std::unordered_map<uint16_t, std::shared_ptr<OpStats>> stats;
  uint64_t bad_frames = 0;
  void PauseAccepting(Duration pause);
};

Server::Server(EventLoop& loop, ServerIdentity identity)
    : impl_(std::make_shared<Impl>(loop, std::move(identity))) {
  // What peers send must not fill our log through the library's own words; IncomingCall::Parse says what was
  // wrong.
  google::protobuf::SetLogHandler(nullptr);
}

Server::~Server() { Stop(); }

Status Server::Listen(const std::string& address) {
  auto parsed = ParseNumericAddress(address, 0);
  if (!parsed.ok())
    return Status(EINVAL, "cannot listen on '" + address + "': want a numeric address and a port");
  auto fd = ListenOn(*parsed);
  if (!fd.ok()) return fd.status();
  impl_->listen_fd = *fd;
  impl_->address = LocalAddress(*fd);
  auto start = [impl = impl_] {
    impl->watch = impl->loop.WatchReadable(impl->listen_fd, [i = impl.get()] { i->Accept(); });
    impl->greeting_timer =
        impl->loop.RunEvery(std::chrono::seconds(1), [i = impl.get()] { i->CloseUngreeted(); });
  };
  if (impl_->loop.InLoopThread()) {
    start();
  } else {
    impl_->loop.Post(start);
  }
  return {};
}

std::string Server::address() const { return impl_->address; }
void Server::SetClusterId(std::string cluster_id) { impl_->identity.cluster_id = std::move(cluster_id); }
void Server::Handle(Op op, Handler handler) {
  impl_->handlers[static_cast<uint16_t>(op)] = std::move(handler);
}
void Server::OnDisconnect(std::function<void(const ConnectionPtr&)> fn) {
  impl_->on_disconnect = std::move(fn);
}
void Server::Dispatch(IncomingCallPtr call) { impl_->Dispatch(std::move(call)); }
const std::unordered_set<ConnectionPtr>& Server::connections() const { return impl_->connections; }
const std::unordered_map<uint16_t, std::shared_ptr<OpStats>>& Server::stats() const { return impl_->stats; }
uint64_t Server::bad_frames() const {
  uint64_t n = impl_->bad_frames;
  for (const auto& [op, stats] : impl_->stats) n += stats->malformed;
  return n;
}

void Server::Stop() {
  impl_->watch.reset();
  impl_->greeting_timer.Cancel();
  impl_->accept_pause.Cancel();
  if (impl_->listen_fd >= 0) {
    close(impl_->listen_fd);
    impl_->listen_fd = -1;
  }
  auto connections = impl_->connections;
  for (auto& c : connections) {
    if (c->bytes_queued() == 0) {
      c->Close(Status(ESHUTDOWN, "the server stops"));
    } else {
      c->CloseAfterFlush(Status(ESHUTDOWN, "the server stops"));
    }
  }
}

void Server::Impl::PauseAccepting(Duration pause) {
  watch.reset();
  accept_pause = loop.RunAfter(pause, [this] {
    if (listen_fd >= 0) watch = loop.WatchReadable(listen_fd, [this] { Accept(); });
  });
}

void Server::Impl::Accept() {
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    int fd = accept4(listen_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
        // The pending connection stays readable: pause instead of spinning.
        KFS_LOG(warn, "server.accept_failed address={} reason=\"{}\"", address, ErrnoText(errno));
        PauseAccepting(std::chrono::milliseconds(200));
      }
      return;
    }
    if (connections.size() >= kConnectionsMax) {
      KFS_LOG(warn, "server.too_many_connections address={} max={}", address, kConnectionsMax);
      close(fd);
      continue;
    }
    const std::string origin = OriginOf(fd);
    // The connection's handlers hold it weakly: it must not own itself.
    auto slot = std::make_shared<std::weak_ptr<Connection>>();
    auto impl = weak_from_this();
    auto c = Connection::Adopt(loop, fd,
                               {.on_request =
                                    [impl](IncomingCallPtr call) {
                                      if (auto self = impl.lock()) self->OnRequest(std::move(call));
                                    },
                                .on_close =
                                    [impl, slot](Status why) {
                                      auto self = impl.lock();
                                      auto connection = slot->lock();
                                      if (self != nullptr && connection != nullptr)
                                        self->OnClose(connection, why);
                                    }});
    *slot = c;
    connections.insert(c);
    for (const ConnectionPtr& old : unknown.Add(c, origin, std::chrono::steady_clock::now())) {
      KFS_LOG(warn, "server.ungreeted_dropped address={} peer={} waiting={} reason=\"too many do not greet\"",
              address, old->peer_address(), unknown.size());
      old->Close(Status(ECONNABORTED, "others came that may greet"));
    }
  }
  PauseAccepting(kAcceptPause);
}

void Server::Impl::CloseUngreeted() {
  for (const ConnectionPtr& c : unknown.WaitingSince(std::chrono::steady_clock::now() - kGreetingTimeout))
    c->Close(Status(ETIMEDOUT, c->peer_address() + " did not greet in time"));
}

void Server::Impl::OnClose(const ConnectionPtr& c, const Status& why) {
  if (why.code() == Code::kMalformed) {
    ++bad_frames;
    KFS_LOG(warn, "server.bad_input peer={} reason=\"{}\"", c->peer_address(), why.message());
  }
  connections.erase(c);
  unknown.Remove(c.get());
  if (c->greeted && on_disconnect) on_disconnect(c);
}

void Server::Impl::OnRequest(IncomingCallPtr call) {
  const ConnectionPtr c = call->connection();
  if (c->greeted) return Dispatch(std::move(call));
  switch (call->op()) {
    case Op::kHello:
      return OnHello(std::move(call));
    case Op::kHelloProof:
      return OnHelloProof(std::move(call));
    default:
      call->Fail(Status(EPROTO, Code::kMalformed, "greet first (Hello, HelloProof)"));
      ++bad_frames;
      c->CloseAfterFlush(Status(EPROTO, "no greeting"));
  }
}

void Server::Impl::OnHello(IncomingCallPtr call) {
  pb::HelloRequest hello;
  if (!call->Parse(&hello)) return;
  const ConnectionPtr c = call->connection();
  auto refuse = [&](Code code, const std::string& why) {
    KFS_LOG(warn, "server.greeting_refused peer={} host={} reason=\"{}\"", c->peer_address(), hello.host(),
            why);
    call->Fail(Status(code == Code::kMalformed ? EPROTO : EACCES, code, why));
    c->CloseAfterFlush(Status(EACCES, why));
  };
  if (hello.nonce().size() != kNonceSize)
    return refuse(Code::kMalformed, "Hello: the nonce has the wrong size");
  if (hello.host().size() > 255 || hello.id().size() > 64 || hello.software().size() > 64 ||
      !pb::HelloRequest::Role_IsValid(hello.role()) || hello.role() == pb::HelloRequest::UNKNOWN) {
    return refuse(Code::kMalformed, "Hello: a field is out of bounds");
  }
  if (hello.version_min() > kProtocolVersion || hello.version_max() < kProtocolVersion) {
    return refuse(
        Code::kWrongVersion,
        fmt::format("{} speaks protocol versions {} to {}, this server speaks {} ({}): upgrade the older one",
                    hello.software(), hello.version_min(), hello.version_max(), kProtocolVersion, kSoftware));
  }
  if (!hello.cluster_id().empty() && !identity.cluster_id.empty() &&
      hello.cluster_id() != identity.cluster_id) {
    return refuse(Code::kWrongCluster,
                  fmt::format("this server belongs to cluster {}, you asked for cluster {}",
                              identity.cluster_id, hello.cluster_id()));
  }
  std::string* nonce = unknown.NonceOf(c.get());
  if (nonce == nullptr) return refuse(Code::kMalformed, "Hello: greeted already");
  *nonce = RandomBytes(kNonceSize);
  c->hello = hello;
  pb::HelloReply reply;
  reply.set_version(kProtocolVersion);
  reply.set_cluster_id(identity.cluster_id);
  reply.set_nonce(*nonce);
  reply.set_proof(ServerProof(identity.secret, hello.nonce(), *nonce));
  reply.set_software(kSoftware);
  call->Reply(reply);
}

void Server::Impl::OnHelloProof(IncomingCallPtr call) {
  pb::HelloProofRequest request;
  if (!call->Parse(&request)) return;
  const ConnectionPtr c = call->connection();
  const std::string* nonce = unknown.NonceOf(c.get());
  if (nonce == nullptr || nonce->empty() ||
      !EqualConstantTime(request.proof(),
                         ClientProof(identity.secret, c->hello.nonce(), *nonce, c->hello.role()))) {
    KFS_LOG(warn, "server.bad_proof peer={} host={}", c->peer_address(), c->hello.host());
    call->Fail(Status(EACCES, Code::kBadProof,
                      "wrong cluster secret: copy the secret file from a machine of the cluster"));
    c->CloseAfterFlush(Status(EACCES, "bad proof"));
    return;
  }
  c->greeted = true;
  unknown.Remove(c.get());
  if (identity.newest_connection_only) CloseEarlierOf(*c);
  call->Reply(pb::HelloProofReply());
}

void Server::Impl::CloseEarlierOf(const Connection& newest) {
  if (newest.hello.id().empty()) return;
  const auto all = connections;  // Close changes the set
  for (const ConnectionPtr& old : all) {
    if (old.get() != &newest && old->greeted && old->hello.role() == newest.hello.role() &&
        old->hello.id() == newest.hello.id()) {
      old->Close(Status(EPIPE, Code::kConnectionLost, "superseded by a newer connection"));
    }
  }
}

void Server::Impl::Dispatch(IncomingCallPtr call) {
  const OpInfo* info = FindOp(static_cast<uint16_t>(call->op()));
  if (info == nullptr) {
    ++bad_frames;
    return call->Fail(Status(EOPNOTSUPP, fmt::format("there is no op {}", static_cast<int>(call->op()))));
  }
  uint32_t role = 1u << call->connection()->hello.role();
  if ((info->senders & role) == 0) {
    ++bad_frames;
    return call->Fail(
        Status(EPERM, fmt::format("{} may not be sent by a {}", info->name,
                                  pb::HelloRequest::Role_Name(call->connection()->hello.role()))));
  }
  if (info->op == Op::kPing) {
    pb::PingReply reply;
    reply.set_uuid(identity.uuid);
    reply.set_instance(identity.instance);
    return call->Reply(reply);
  }
  auto handler = handlers.find(static_cast<uint16_t>(info->op));
  if (handler == handlers.end()) {
    return call->Fail(Status(EOPNOTSUPP, fmt::format("this server does not serve {}", info->name)));
  }
  auto& counted = stats[static_cast<uint16_t>(info->op)];
  if (counted == nullptr) counted = std::make_shared<OpStats>();
  call->CountIn(counted);
  const RanPart part(info->name);
  handler->second(std::move(call));
}

}  // namespace kfs

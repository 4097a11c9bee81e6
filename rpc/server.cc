#include "rpc/server.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>

#include "common/log.h"
#include "common/secret.h"
#include "rpc/hello.h"
#include "rpc/network.h"
#include "rpc/tls_stream.h"
#include "rpc/unknown_peers.h"

namespace kfs {
namespace {

constexpr size_t kConnectionsMax = 16384;
// Of one key and one machine, once they have greeted: the others' share stays.
constexpr size_t kClientsOfOneMax = 4096;
constexpr auto kGreetingTimeout = std::chrono::seconds(10);

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(EventLoop& l, ServerIdentity i)
      : loop(l),
        identity(std::move(i)),
        dispatcher(std::make_shared<Dispatcher>(
            l, Dispatcher::Options{
                   .role = identity.role, .uuid = identity.uuid, .instance = identity.instance})) {}

  void Accept(std::unique_ptr<ByteStream> stream, const std::string& origin);
  Status LinkRefusal(const Connection& c, const pb::HelloRequest& hello) const;
  void OnRequest(IncomingCallPtr call);
  void OnHello(IncomingCallPtr call);
  void OnHelloProof(IncomingCallPtr call);
  void RememberLink(const Connection& c);
  void OnClose(const ConnectionPtr& c, const Status& why);
  void CloseUngreeted();
  void CloseEarlierOf(const Connection& newest);

  EventLoop& loop;
  ServerIdentity identity;
  const std::shared_ptr<Dispatcher> dispatcher;
  std::unique_ptr<TlsAcceptor> tls;  // null: tls = off
  std::unique_ptr<Network::Listener> listener;
  std::string address;
  EventLoop::Timer greeting_timer;
  std::function<void(const ConnectionPtr&)> on_disconnect;
  std::unordered_set<ConnectionPtr> connections;
  std::unordered_map<std::string, size_t> clients;  // greeted, by key and machine
  static std::string ClientOf(const Connection& c);
  bool TakeClient(const Connection& c);
  UnknownPeers unknown;  // those of `connections` that have not greeted
  uint64_t bad_frames = 0;
};

Server::Server(EventLoop& loop, ServerIdentity identity)
    : impl_(std::make_shared<Impl>(loop, std::move(identity))) {
  ServerIdentity& i = impl_->identity;
  if (i.seen == nullptr) i.seen = std::make_shared<SeenPeers>();
  if (i.policy.tls != TlsMode::kOff)
    impl_->tls = std::make_unique<TlsAcceptor>(loop, i.role, i.uuid, i.keyring);
  const auto greeted = [](const IncomingCallPtr& call) {
    call->Fail(Status(EOPNOTSUPP, "the connection is greeted already"));
  };
  Handle(Op::kHello, greeted);
  Handle(Op::kHelloProof, greeted);
  // What peers send must not fill our log through the library's own words; IncomingCall::Parse says what was
  // wrong.
  google::protobuf::SetLogHandler(nullptr);
}

Server::~Server() { Stop(); }

Status Server::Listen(const std::string& address) {
  auto listener = impl_->loop.network().Listen(
      impl_->loop, address, impl_->identity.policy.socket_dir,
      [weak = impl_->weak_from_this()](std::unique_ptr<ByteStream> stream, const std::string& origin) {
        if (auto impl = weak.lock()) impl->Accept(std::move(stream), origin);
      });
  if (!listener.ok()) return listener.status();
  impl_->listener = std::move(*listener);
  impl_->address = impl_->listener->address();
  if (impl_->identity.policy.tls != TlsMode::kRequired) {
    KFS_LOG(
        warn,
        "link.plain address={} tls={} next=\"links without TLS are accepted: whoever is in the network can "
        "read and change what goes over them; set tls = required\"",
        impl_->address, TlsModeName(impl_->identity.policy.tls));
  }
  auto start = [impl = impl_] {
    if (impl->listener == nullptr) return;
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
const std::shared_ptr<Dispatcher>& Server::dispatcher() const { return impl_->dispatcher; }
void Server::OnDisconnect(std::function<void(const ConnectionPtr&)> fn) {
  impl_->on_disconnect = std::move(fn);
}
const std::unordered_set<ConnectionPtr>& Server::connections() const { return impl_->connections; }
uint64_t Server::bad_frames() const {
  return impl_->bad_frames + impl_->dispatcher->refused() + impl_->dispatcher->counts()->malformed();
}

void Server::Stop() {
  impl_->dispatcher->Stop();
  impl_->listener.reset();
  impl_->greeting_timer.Cancel();
  auto connections = impl_->connections;
  for (auto& c : connections) {
    c->context.reset();  // it may hold the connection
    if (c->bytes_queued() == 0) {
      c->Close(Status(ESHUTDOWN, "the server stops"));
    } else {
      c->CloseAfterFlush(Status(ESHUTDOWN, "the server stops"));
    }
  }
}

void Server::Impl::Accept(std::unique_ptr<ByteStream> stream, const std::string& origin) {
  if (connections.size() >= kConnectionsMax) {
    KFS_LOG(warn, "server.too_many_connections address={} max={}", address, kConnectionsMax);
    return stream->Close();
  }
  if (tls != nullptr && stream->kind() != std::string_view("unix")) stream = tls->Accept(std::move(stream));
  // The connection's handlers hold it weakly: it must not own itself.
  auto slot = std::make_shared<std::weak_ptr<Connection>>();
  auto impl = weak_from_this();
  auto c = Connection::Adopt(loop, std::move(stream),
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
  for (const ConnectionPtr& old : unknown.Add(c, origin, loop.Now())) {
    KFS_LOG(warn, "server.ungreeted_dropped address={} peer={} waiting={} reason=\"too many do not greet\"",
            address, old->peer_address(), unknown.size());
    old->Close(Status(ECONNABORTED, "others came that may greet"));
  }
}

void Server::Impl::CloseUngreeted() {
  for (const ConnectionPtr& c : unknown.WaitingSince(loop.Now() - kGreetingTimeout))
    c->Close(Status(ETIMEDOUT, c->peer_address() + " did not greet in time"));
}

void Server::Impl::OnClose(const ConnectionPtr& c, const Status& why) {
  if (why.code() == Code::kBadProof)
    KFS_LOG(warn, "server.bad_proof peer={} reason=\"{}\"", c->peer_address(), why.message());
  if (why.code() == Code::kMalformed) {
    ++bad_frames;
    KFS_LOG(warn, "server.bad_input peer={} reason=\"{}\"", c->peer_address(), why.message());
  }
  connections.erase(c);
  unknown.Remove(c.get());
  if (c->greeted && c->hello.role() == pb::HelloRequest::CLIENT) {
    auto it = clients.find(ClientOf(*c));
    if (it != clients.end() && --it->second == 0) clients.erase(it);
  }
  if (c->greeted && on_disconnect) on_disconnect(c);
}

// Mounts of one machine and key count together, whoever they say they are.
std::string Server::Impl::ClientOf(const Connection& c) {
  const std::string& peer = c.peer_address();
  return c.hello.key_id() + "|" + peer.substr(0, peer.rfind(':'));
}

// False: it has its share of the connections.
bool Server::Impl::TakeClient(const Connection& c) {
  if (c.hello.role() != pb::HelloRequest::CLIENT) return true;
  size_t& count = clients[ClientOf(c)];
  if (count >= kClientsOfOneMax) {
    KFS_LOG(warn, "server.too_many_of_one peer={} host={} max={}", c.peer_address(), c.hello.host(),
            kClientsOfOneMax);
    return false;
  }
  ++count;
  return true;
}

void Server::Impl::OnRequest(IncomingCallPtr call) {
  const ConnectionPtr c = call->connection();
  if (c->greeted) return dispatcher->Dispatch(std::move(call));
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

// Whether this kind of link is good enough for who says hello on it.
Status Server::Impl::LinkRefusal(const Connection& c, const pb::HelloRequest& hello) const {
  if (const ByteStream::Peer* peer = c.stream().proven()) {
    const std::string& key_id = hello.key_id().empty() ? kRootKeyId : hello.key_id();
    if (peer->role == hello.role() && peer->id == hello.id() && peer->key_id == key_id) return {};
    return Malformed("Hello: not who the TLS handshake has proved");
  }
  if (c.stream().kind() != std::string_view("plain")) return {};
  if (identity.policy.tls == TlsMode::kRequired) {
    return Status(
        EACCES, Code::kWrongVersion,
        fmt::format("{} comes without TLS, which this server requires: upgrade it, or take tls = off "
                    "from its options (or set tls = accept here for the time of the transition)",
                    hello.software()));
  }
  if (identity.seen->Of(hello.role(), hello.id()).tls)
    return Status(EACCES, Code::kBadProof,
                  "it has come by TLS before and is not accepted without" +
                      (identity.seen->path().empty() ? std::string()
                                                     : " (if it was downgraded: stop this server, remove " +
                                                           identity.seen->path() + ")"));
  return {};
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
  UnknownPeers::Greeting* greeting = unknown.GreetingOf(c.get());
  if (greeting == nullptr) return refuse(Code::kMalformed, "Hello: greeted already");
  if (Status s = LinkRefusal(*c, hello); !s.ok()) return refuse(s.code(), s.message());
  if (!hello.key_id().empty() && !IsKeyId(hello.key_id()))
    return refuse(Code::kMalformed, "Hello: the key's name is none");
  Result<FoundKey> key = identity.keyring->Find(
      {.role = hello.role(), .id = hello.id(), .key_id = hello.key_id(), .address = c->peer_address()});
  if (!key.ok()) return refuse(key.status().code(), key.status().message());
  greeting->nonce = loop.entropy().Bytes(kNonceSize);
  greeting->key = std::move(*key);
  const Transcript transcript{hello.nonce(), greeting->nonce, c->stream().binding()};
  c->hello = hello;
  pb::HelloReply reply;
  reply.set_version(kProtocolVersion);
  reply.set_cluster_id(identity.cluster_id);
  reply.set_nonce(greeting->nonce);
  reply.set_proof(ServerProof(greeting->key.key, transcript));
  reply.set_signature(identity.keyring->Sign(SignedText(transcript, identity.role), hello.key_id()));
  reply.set_uuid(identity.uuid);
  reply.set_software(kSoftware);
  reply.set_features(kFeatures);
  c->features = hello.features() & kFeatures;
  call->Reply(reply);
}

void Server::Impl::OnHelloProof(IncomingCallPtr call) {
  pb::HelloProofRequest request;
  if (!call->Parse(&request)) return;
  const ConnectionPtr c = call->connection();
  UnknownPeers::Greeting* greeting = unknown.GreetingOf(c.get());
  if (greeting == nullptr || greeting->nonce.empty() ||
      !EqualConstantTime(
          request.proof(),
          ClientProof(greeting->key.key, {c->hello.nonce(), greeting->nonce, c->stream().binding()},
                      c->hello.role()))) {
    KFS_LOG(warn, "server.bad_proof peer={} host={}", c->peer_address(), c->hello.host());
    call->Fail(Status(EACCES, Code::kBadProof,
                      "wrong cluster secret: copy the secret file from a machine of the cluster"));
    c->CloseAfterFlush(Status(EACCES, "bad proof"));
    return;
  }
  if (!TakeClient(*c)) {
    const Status many(
        EAGAIN, Code::kTryAgain,
        fmt::format("there are {} connections with this key from this address already", kClientsOfOneMax));
    call->Fail(many);
    return c->CloseAfterFlush(many);
  }
  RememberLink(*c);
  c->greeted = true;
  c->rights = std::move(greeting->key.rights);
  unknown.Remove(c.get());
  if (identity.newest_connection_only) CloseEarlierOf(*c);
  call->Reply(pb::HelloProofReply());
}

// They have no reason to come with less ever again. Mounts are many: of them only what may be asked.
void Server::Impl::RememberLink(const Connection& c) {
  const auto role = c.hello.role();
  if (role == pb::HelloRequest::ADMIN) return;
  const bool is_server = role != pb::HelloRequest::CLIENT;
  if (!is_server && identity.policy.tls != TlsMode::kAccept) return;
  const std::string& key_id = c.hello.key_id();
  // Whoever is invited may say to be any chunkserver, until the configuration has it.
  if (key_id.starts_with("invitation/")) return;
  identity.seen->Remember(
      role, c.hello.id(),
      {.tls = c.stream().proven() != nullptr,
       .generation = is_server ? KeyGeneration(key_id.empty() ? kRootKeyId : key_id) : 0});
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

}  // namespace kfs

#include "tests/sim/parts/meta_host.h"

#include <utility>

#include "metaserver/executor/handlers.h"
#include "metaserver/store/keys.h"
#include "tests/sim/parts/parts_env.h"

namespace kfs::sim {
namespace {

constexpr char kSecret[] = "0123456789abcdef-parts";
constexpr Nanos kTick = 200 * kMilli, kFetchMax = 20 * kMilli;

Credentials Plain() { return Credentials::Root(kSecret).With({.tls = TlsMode::kOff, .socket_dir = {}}); }

// As the metaserver's own.
class NetCall : public meta::OpCall {
 public:
  explicit NetCall(IncomingCallPtr incoming) : incoming_(std::move(incoming)) {
    trace = incoming_->trace().id;
  }
  Op op() const override { return incoming_->op(); }
  std::string_view body() const override { return incoming_->body(); }
  void Reply(std::string_view body) override { incoming_->ReplySerialized(body); }
  void Fail(const Status& status, uint64_t detail) override { incoming_->Fail(status, detail); }
  void Parked() override { incoming_->Parked(); }

 private:
  const IncomingCallPtr incoming_;
};

// Of a connection that has a session.
struct Attachment {
  meta::SessionPtr session;
  uint8_t lane = 0;
};

const Attachment* AttachmentOf(const ConnectionPtr& connection) {
  return static_cast<const Attachment*>(connection->context.get());
}

// REQUIRES: its connection has a session (Dispatcher::CheckSession).
meta::CallPtr SessionCall(const IncomingCallPtr& incoming) {
  const Attachment at = *AttachmentOf(incoming->connection());
  auto call = std::make_shared<NetCall>(incoming);
  call->session = at.session;
  call->lane = at.lane;
  return call;
}

}  // namespace

struct MetaHost::Serving {
  std::unique_ptr<meta::DbMemory> memory;
  std::unique_ptr<meta::Db> cluster;
  std::unique_ptr<meta::Chunkservers> servers;
  std::unique_ptr<meta::WalSync> sync;
  std::unique_ptr<meta::ExecutorEnv> env;
  std::unique_ptr<meta::Executor> executor;
  std::unique_ptr<Server> server;
  EventLoop::Timer timer;
  std::shared_ptr<void> extension;

  ~Serving() {
    if (executor == nullptr) return;
    for (const auto& [id, volume] : executor->volumes()) sync->Remove(&volume->store.db());
  }
};

class MetaHost::Env final : public PartsEnv {
 public:
  explicit Env(MetaHost& host) : host_(host), loop_(host.process_->loop()) {}
  void ScheduleTick() override {
    loop_.AtTickEnd([this] { host_.serving_->executor->EndTick(); });
  }
  void ScheduleNextTick() override {
    loop_.Post([this] { host_.serving_->executor->NextTick(); });
  }
  bool CanFetch() const override { return true; }
  void Fetch(meta::Db& db, std::vector<std::string> keys, std::function<void()> done) override {
    World& world = host_.world_;
    world.At(world.now() + world.Between(0, kFetchMax), host_.process_, [&db, keys, done] {
      db.Warm(keys);
      done();
    });
  }
  void CloseConnection(meta::Session& session, uint8_t lane, const Status& why) override {
    const ConnectionPtr connection = std::exchange(session.lane(lane).connection, nullptr);
    if (connection == nullptr) return;
    connection->context.reset();
    connection->CloseAfterFlush(why);
  }

 private:
  MetaHost& host_;
  EventLoop& loop_;
};

MetaHost::MetaHost(World& world, Duration session_ttl, Planted planted)
    : world_(world), session_ttl_(session_ttl), planted_(planted), host_(world.AddHost(kHost)) {
  disks_.sync_lies = planted.syncs_nothing;
  disks_.before_write = [this](MemoryDisks::Disk&) {
    if (writes_left_ == 0 || --writes_left_ != 0) return true;
    Crash(power_);
    return last_write_done_;
  };
}

MetaHost::~MetaHost() {
  disks_.Stop();
  if (process_ != nullptr) process_->Kill();
}

void MetaHost::Start() {
  disks_.salt = world_.Draw();
  process_ = host_->Start("metaserver");
  started_at_ = world_.now();
  world_.At(world_.now(), process_, [this] {
    if (!Make().ok()) std::abort();
  });
}

void MetaHost::Crash(bool power) {
  if (!up()) return;
  disks_.Stop();
  power ? process_->Vanish() : process_->Kill();
  world_.At(world_.now(), nullptr, [this, power] { Ended(power); });
}

void MetaHost::Ended(bool power) {
  writes_left_ = 0;
  serving_.reset();
  process_.reset();
  disks_.Ended(power, [this] { return world_.Draw(); });
  if (planted_.acknowledges_early) {
    MemoryDisks::Disk& disk = disks_.Of("/volume");
    if (!disk.log.empty()) {
      disk.log.pop_back();
      disk.acknowledged = --disk.written;
    }
  }
  if (power && on_power_loss) on_power_loss();
  if (on_end) on_end();
}

void MetaHost::StopCleanly() {
  serving_->extension.reset();
  serving_->executor->Stop();
  Crash(false);
}

void MetaHost::CrashAtWrite(int64_t n, bool done, bool power) {
  writes_left_ = n;
  last_write_done_ = done;
  power_ = power;
}

void MetaHost::AcknowledgeLater(Nanos most) {
  disks_.acknowledge_later = [this, most](MemoryDisks::Disk& disk, uint64_t written) {
    const Nanos when = world_.Chance(0.5) ? world_.now() : world_.now() + world_.Between(0, most);
    world_.At(when, process_, [&disk, written] { MemoryDisks::Acknowledge(disk, written); });
  };
}

meta::Volume* MetaHost::volume() { return executor() == nullptr ? nullptr : executor()->FindVolume(kVolume); }

meta::Executor* MetaHost::executor() {
  return !up() || serving_ == nullptr ? nullptr : serving_->executor.get();
}

meta::Chunkservers* MetaHost::chunkservers() {
  return !up() || serving_ == nullptr ? nullptr : serving_->servers.get();
}

Status MetaHost::Make() {
  using namespace meta;
  EventLoop& loop = process_->loop();
  serving_ = std::make_unique<Serving>();
  Serving& s = *serving_;
  s.memory = std::make_unique<DbMemory>(0, disks_.Env());
  auto cluster = Db::Open("/cluster", "cluster", *s.memory);
  if (!cluster.ok()) return cluster.status();
  s.cluster = std::move(*cluster);
  s.servers = std::make_unique<Chunkservers>(*s.cluster, loop.clock(), loop.entropy(),
                                             links ? links() : LinksByConnection());
  KFS_RETURN_IF_ERROR(s.servers->Load());
  s.sync = std::make_unique<WalSync>(loop);
  s.env = std::make_unique<Env>(*this);
  s.executor = std::make_unique<Executor>(
      loop.clock(), ExecutorOptions{.session_ttl = session_ttl_, .entropy = &loop.entropy()}, s.sync.get(),
      *s.env);
  rec::Volume info;
  info.set_id(1);
  info.set_name(kVolume);
  info.set_chunk_size(65536);
  info.set_replicas(1);
  auto db = Db::Open("/volume", "volume", *s.memory);
  if (!db.ok()) return db.status();
  auto volume = Volume::Open(info, std::move(*db), 1 << 20, *s.servers, loop.clock(),
                             s.executor->volume_env(), s.executor->DrawVolumeSeed());
  if (!volume.ok()) return volume.status();
  s.executor->AddVolume(std::move(*volume));
  s.server =
      std::make_unique<Server>(loop, ServerIdentity{.role = pb::HelloRequest::METASERVER,
                                                    .cluster_id = "a",
                                                    .keyring = RootKeyring(kSecret),
                                                    .policy = {.tls = TlsMode::kOff, .socket_dir = {}}});
  RegisterOps();
  KFS_RETURN_IF_ERROR(s.server->Listen(kAddress));
  s.timer = loop.RunEvery(std::chrono::nanoseconds(kTick), [this] { Timer(); });
  if (extend) s.extension = extend();
  return {};
}

void MetaHost::Timer() {
  for (const auto& c : serving_->server->connections()) {
    if (const Attachment* at = AttachmentOf(c))
      at->session->last_heard = std::max(at->session->last_heard, c->last_received());
  }
  if (on_timer) on_timer();
  serving_->executor->OnTimer();
}

void MetaHost::RegisterOps() {
  Server& server = *serving_->server;
  Dispatcher& dispatcher = *server.dispatcher();
  meta::Executor& executor = *serving_->executor;
  dispatcher.InTurns([](Op op) { return FindOp(static_cast<uint16_t>(op))->needs != Needs::kSession; });
  dispatcher.CheckSession([](const Connection& c) {
    if (c.context != nullptr) return Status();
    return Status(EACCES, Code::kNotAttached, "the connection has no session: open one first");
  });
  auto run = [&executor](const IncomingCallPtr& incoming) { executor.Execute(SessionCall(incoming)); };
#define KFS_HANDLE(number, name, ...) dispatcher.Handle(Op::k##name, run);
  KFS_VOLUME_OPS(KFS_HANDLE)
#undef KFS_HANDLE
  server.Handle<rpc::OpenSession>(
      [&executor](IncomingCallPtr incoming, const pb::OpenSessionRequest& request) {
        const ConnectionPtr connection = incoming->connection();
        meta::SessionPtr session = executor.OpenSession(std::make_shared<NetCall>(incoming), request,
                                                        connection->hello.host(), connection->hello.id());
        if (session == nullptr) return;
        const auto lane = static_cast<uint8_t>(request.lane());
        session->lane(lane).connection = connection;
        connection->context = std::make_shared<Attachment>(Attachment{session, lane});
      });
  server.Handle<rpc::Reclaim>([this, &executor](IncomingCallPtr incoming, pb::ReclaimRequest request) {
    if (planted_.drops_reclaimed_locks) request.clear_lock();
    meta::CallPtr call = SessionCall(incoming);
    executor.InTurn(call, [&executor, call, request] { executor.Reclaim(call, request); });
  });
  server.Handle<rpc::KeepAlive>([&executor](IncomingCallPtr incoming, const pb::KeepAliveRequest& request) {
    meta::CallPtr call = SessionCall(incoming);
    executor.InTurn(call, [&executor, call, request] { executor.KeepAlive(call, request); });
  });
  server.Handle<rpc::CloseSession>([&executor](IncomingCallPtr incoming, const pb::CloseSessionRequest&) {
    meta::CallPtr call = SessionCall(incoming);
    call->session->closing = true;
    executor.InTurn(call, [&executor, call] { executor.CloseSession(call); });
  });
  server.Handle<rpc::CancelOp>([&executor](IncomingCallPtr incoming, const pb::CancelOpRequest& request) {
    meta::CallPtr call = SessionCall(incoming);
    executor.InTurn(call, [&executor, call, request] { executor.CancelOp(call, request); });
  });
  server.OnDisconnect([this, &executor](const ConnectionPtr& connection) {
    if (connection->context == nullptr) return;
    const auto [session, n] = *AttachmentOf(connection);
    meta::Lane& lane = session->lane(n);
    if (lane.connection != connection) return;
    lane.connection.reset();
    connection->context.reset();
    if (planted_.forgets_answers) session->replies.clear();
    executor.Disconnected(*session, n, lane.connection_number);
  });
}

// ---- MountHost ----

MountHost::MountHost(World& world, const std::string& address)
    : world_(world), host_(world.AddHost(address)) {}

void MountHost::Start() {
  process_ = host_->Start("mount");
  world_.At(world_.now(), process_, [this] {
    KfsClient::Options options;
    options.metaservers = {MetaHost::kAddress};
    options.volume = MetaHost::kVolume;
    options.credentials = Plain();
    options.connect_timeout = std::chrono::hours(1);
    options.loop = &process_->loop();
    connecting_ = KfsClient::Connect(options, [this](Result<std::unique_ptr<KfsClient>> made) {
      if (made.ok()) client_ = std::move(*made);
    });
  });
}

void MountHost::Kill() {
  if (process_ == nullptr) return;
  process_->Kill();
  connecting_.reset();
  client_.reset();
  process_.reset();
}

}  // namespace kfs::sim

#include "metaserver/metaserver.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/chunk_token.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/secret.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/hosting/data_dir.h"
#include "metaserver/members/admin_ops.h"

namespace kfs::meta {
namespace {

// Disks serve several reads at once; more would only take memory.
constexpr int kColdReadsAtOnce = 2;

// A request of a connection as the executor sees it.
class NetCall : public Call {
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
  IncomingCallPtr incoming_;
};

SessionPtr SessionOf(const ConnectionPtr& connection) {
  return std::static_pointer_cast<Session>(connection->context);
}

// The call with its connection's session; null (and answered) without one.
CallPtr SessionCall(IncomingCallPtr incoming) {
  SessionPtr session = SessionOf(incoming->connection());
  if (session == nullptr) {
    incoming->Fail(Status(EACCES, Code::kNotAttached, "the connection has no session: open one first"));
    return nullptr;
  }
  auto call = std::make_shared<NetCall>(std::move(incoming));
  call->session = std::move(session);
  return call;
}

// Of a session, as the executor gives them; the others take their connection's.
bool TakesTurns(Op op) {
  switch (op) {
#define KFS_CASE(name) case Op::k##name:
    KFS_META_OPS(KFS_CASE)
#undef KFS_CASE
    case Op::kReclaim:
    case Op::kKeepAlive:
    case Op::kCloseSession:
    case Op::kCancelOp:
      return true;
    default:
      return false;
  }
}

OpenProofs ProofKeys(const Credentials& root) {
  constexpr char kFor[] = "kfs open proof";
  std::vector<std::string> keys{Hkdf(root.key(), kFor)};
  if (root.older() != nullptr) keys.push_back(Hkdf(root.older()->key(), kFor));
  return OpenProofs(std::move(keys));
}

}  // namespace

MetaServer::MetaServer(EventLoop& loop, const MetaOptions& options, MetaSurroundings surroundings)
    : loop_(loop),
      options_(options),
      files_(surroundings.files != nullptr ? *surroundings.files : SystemFiles()),
      databases_(std::move(surroundings.databases)),
      clock_(loop.clock()) {}

MetaServer::~MetaServer() { Stop(); }

Status MetaServer::ReadSecret(Credentials* credentials) {
  const std::string& path = options_.secret_file();
  if (options_.create_secret()) {  // EEXIST: there is one
    if (Status s = WriteSecretFile(path, GenerateSecret(loop_.entropy())); !s.ok() && s.err() != EEXIST)
      return s;
  }
  Result<Credentials> read = ReadCredentials(options_);
  if (!read.ok()) return read.status();
  if (!read->is_root()) {
    return Status(EINVAL,
                  fmt::format("secret-file {} holds the key {}: a metaserver needs the cluster's root secret",
                              path, read->key_id()));
  }
  *credentials = std::move(*read);
  if (options_.old_secret_file().empty()) return {};
  Result<Credentials> old = Credentials::Read(options_.old_secret_file());
  if (!old.ok()) return Status(old.status().err(), "old-secret-file: " + old.status().message());
  if (!old->is_root())
    return Status(EINVAL, fmt::format("old-secret-file {} holds the key {}, not a root secret",
                                      options_.old_secret_file(), old->key_id()));
  Result<Credentials> both = credentials->WithOlder(*old);
  if (!both.ok()) return both.status();
  *credentials = std::move(*both);
  KFS_LOG(warn,
          "secret.old_accepted old={} new={} next=\"give chunkservers invitations and mounts keys, then take "
          "old-secret-file from the options; 'kfs health' shows who still uses it\"",
          credentials->older()->key_id(), credentials->key_id());
  return {};
}

Status MetaServer::Start() {
  KFS_RETURN_IF_ERROR(PrepareDataDir(files_, options_.data_dir()));
  Credentials credentials;
  KFS_RETURN_IF_ERROR(ReadSecret(&credentials));
  started_wall_ = clock_.WallNow();
  memory_ = std::make_unique<DbMemory>(static_cast<size_t>(options_.db_memory()), databases_);
  Result<std::unique_ptr<ClusterStore>> cluster =
      ClusterStore::Open(options_.data_dir(), *memory_, loop_.entropy());
  if (!cluster.ok()) return cluster.status();
  cluster_ = std::move(*cluster);
  chunkservers_ = std::make_unique<Chunkservers>(cluster_->db(), clock_, loop_.entropy());
  chunkservers_->SetKeys(credentials);
  KFS_RETURN_IF_ERROR(chunkservers_->Load());
  bricks_ = std::make_unique<BrickPhase>(loop_, clock_, *chunkservers_);

  ExecutorOptions eo{.session_ttl = std::chrono::seconds(options_.session_ttl()),
                     .session_keep = std::chrono::seconds(options_.session_keep()),
                     .slow_op = std::chrono::milliseconds(options_.slow_op_ms()),
                     .entropy = &loop_.entropy()};
  sync_ = std::make_unique<WalSync>(loop_);
  cold_reads_ = std::make_unique<JobThread>(loop_, "kfs-cold", kColdReadsAtOnce);
  jobs_ = std::make_unique<JobThread>(loop_, "kfs-jobs");
  scans_ = std::make_unique<JobThread>(loop_, "kfs-scans");
  executor_ = std::make_unique<Executor>(
      clock_, eo, sync_.get(),
      Executor::Hooks{.schedule_tick =
                          [this, alive = alive_] {
                            // Asked for outside a tick (from Start) it runs with the first one.
                            auto run = [this, alive] {
                              if (*alive && !stopped_) executor_->EndTick();
                            };
                            if (loop_.InLoopThread()) {
                              loop_.AtTickEnd(run);
                            } else {
                              loop_.Post(run);
                            }
                          },
                      .next_tick =
                          [this, alive = alive_] {
                            loop_.Post([this, alive] {
                              if (*alive && !stopped_) executor_->NextTick();
                            });
                          },
                      .fetch =
                          [this](Db& db, std::vector<std::string> keys, std::function<void()> done) {
                            cold_reads_->Do(
                                &db,
                                [&db, keys = std::move(keys)] {
                                  db.Warm(keys);
                                  return Status();
                                },
                                [done = std::move(done)](const Status&) { done(); });
                          },
                      .forget_fetches =
                          [this](Db& db) {
                            cold_reads_->Forget(&db);
                            jobs_->Forget(&db);
                            scans_->Forget(&db);
                          },
                      .drain = [this](Session& s, Ino ino,
                                      std::function<void()> done) { DrainReleases(s, ino, std::move(done)); },
                      .close_connection =
                          [](Session& s, const Status& why) {
                            ConnectionPtr connection = std::move(s.connection);
                            s.connection.reset();
                            if (connection == nullptr) return;
                            connection->context.reset();
                            connection->CloseAfterFlush(why);
                          },
                      .where = [this](const std::string& name) { return Where(name); },
                      .damaged =
                          [this, alive = alive_](VolumeId id) {
                            loop_.Post([this, alive, id] {
                              if (!*alive || stopped_) return;
                              volumes_->CloseDamaged(id);
                              EndIfNothingIsServed(id);
                            });
                          },
                      .proofs = ProofKeys(credentials),
                      .synced = [this](const Volume& volume) { return PointOf(volume); }});
  chunkservers_->OnUp([this](ServerId server) {
    for (const auto& [id, volume] : executor_->volumes()) {
      volume->fences.Up(server);
      volume->mutations.Kick();
    }
  });
  chunkservers_->OnKeyChanged([this](ServerId server) {
    for (const auto& [id, volume] : executor_->volumes()) {
      for (const auto& [sid, session] : volume->sessions) volume->tickets.KeyChanged(*session, server);
    }
  });
  seen_ = std::make_shared<SeenPeers>(options_.data_dir() + "/seen-links", files_);
  keyring_ = std::make_shared<ClusterKeyring>(
      credentials, clock_, [this] { return member_ == nullptr ? nullptr : &member_->conf(); }, seen_,
      [this] { return member_ == nullptr ? std::string() : member_->uuid(); });
  server_ = std::make_unique<Server>(loop_, ServerIdentity{.role = pb::HelloRequest::METASERVER,
                                                           .cluster_id = cluster_->cluster_id(),
                                                           .keyring = keyring_,
                                                           .policy = credentials.policy(),
                                                           .seen = seen_});
  KFS_RETURN_IF_ERROR(server_->Listen(options_.listen()));
  KFS_RETURN_IF_ERROR(BecomeMember(credentials));
  disk_ = std::make_unique<DiskWatch>(
      files_, options_.data_dir(), static_cast<uint64_t>(options_.reserve_bytes()), MySubject(), alarms_,
      DiskWatch::Hooks{.set_full =
                           [this](bool full) {
                             executor_->SetDiskFull(full);
                             images_->SetDiskFull(full);
                           },
                       .set_has_room = [this](bool there) { member_db_->SetHasRoom(there); }});
  RegisterHandlers();
  RegisterAdmin();
  RegisterKeys();
  RegisterImages();
  RegisterFiles();
  volumes_->UseThreads(loop_);
  RegisterMemberOps(*server_, *member_, *peers_, *chunkservers_,
                    [this](std::function<void()> answer) { AnswerWhenSettled(std::move(answer)); });
  RegisterChunkService();
  server_->OnDisconnect([this](const ConnectionPtr& c) { OnDisconnect(c); });
  KFS_RETURN_IF_ERROR(StartMonitor());
  loop_.Post([this, alive = alive_] {
    if (!*alive || stopped_) return;
    member_->Start();
    timer_ = loop_.RunEvery(std::chrono::milliseconds(200), [this] {
      disk_->Look();
      chunkservers_->CheckSilence();
      for (const auto& c : server_->connections()) {
        if (SessionPtr s = SessionOf(c)) s->last_heard = std::max(s->last_heard, c->last_received());
      }
      executor_->OnTimer();
    });
    moving_timer_ = loop_.RunEvery(std::chrono::seconds(1), [this] {
      reach_->OnTimer();
      EndOfKeys();
      TellMembers();
      lost_->OnTimer();
      missing_->OnTimer();
      ForgetOlderCopies();
      mover_->OnTimer();
      images_->Sweep(member_->conf(), member_->uuid());
      image_reader_->Sweep();
    });
    op_times_timer_ = loop_.RunEvery(std::chrono::seconds(10), [this] {
      if (op_times_.size() == kOpPeriods) op_times_.pop_front();
      op_times_.push_back(OpTimesNow());
    });
    LookForTwin();
    twin_timer_ = loop_.RunEvery(std::chrono::seconds(5), [this] { LookForTwin(); });
  });
  KFS_RETURN_IF_ERROR(WriteAddressFile(options_.address_file(), address()));
  KFS_LOG(info, "ready address={} cluster={} member={} generation={} starts={} volumes={}", address(),
          cluster_id(), member_->uuid(), member_->conf().generation(), cluster_->starts(),
          executor_->volumes().size());
  return {};
}

// Whoever watches over the process starts it again, and the log is opened anew: better than a metaserver that
// serves nothing until somebody comes.
void MetaServer::EndIfNothingIsServed(VolumeId failed) {
  if (!volumes_->LogFailed(failed) || !executor_->volumes().empty()) return;
  KFS_LOG(
      critical,
      "log_failed volume={} effect=\"the process ends: no other volume is served here\" next=\"make room, "
      "or look at the disk; started again it opens the volume, and mounts go on\"",
      failed.v);
  memory_->env().End("the log of the last volume has failed");
}

void MetaServer::Stop() {
  if (stopped_ || executor_ == nullptr) {
    stopped_ = true;
    return;
  }
  timer_.Cancel();
  if (monitor_ != nullptr) monitor_->Stop();
  moving_timer_.Cancel();
  twin_timer_.Cancel();
  op_times_timer_.Cancel();
  executor_->EndTick();
  stopped_ = true;
  *alive_ = false;
  if (member_ != nullptr) member_->Stop();
  if (server_ != nullptr) {
    server_->OnDisconnect({});
    server_->Stop();
  }
  reach_.reset();
  mover_.reset();
  if (volumes_ != nullptr) volumes_->StopThreads();
  executor_->Stop();
  lost_.reset();
  scans_.reset();
  jobs_.reset();
  sync_.reset();
  cold_reads_.reset();
}

void MetaServer::RegisterHandlers() {
  server_->InTurns([](Op op) { return !TakesTurns(op); });
  auto run = [this](IncomingCallPtr incoming) {
    if (CallPtr call = SessionCall(std::move(incoming))) executor_->Execute(call);
  };
#define KFS_HANDLE(name) server_->Handle(Op::k##name, run);
  KFS_META_OPS(KFS_HANDLE)
#undef KFS_HANDLE
  server_->Handle<rpc::OpenSession>([this](IncomingCallPtr incoming, const pb::OpenSessionRequest& request) {
    ConnectionPtr connection = incoming->connection();
    auto call = std::make_shared<NetCall>(incoming);
    if (SessionOf(connection) != nullptr) {
      return executor_->Refuse(call,
                               Status(EINVAL, Code::kMalformed, "the connection has a session already"));
    }
    // Of the volume that it is about, and whose key it has.
    const Volume* asked = executor_->FindVolume(request.volume());
    const uint32_t only = MountRightsOf(*connection).volume;
    const bool may = asked != nullptr && (only == 0 || only == asked->id().v);
    if (may && request.synced().volume() == asked->id().v && points_->Heard(request.synced()))
      volumes_->CloseOlder(asked->id());
    if (const Status s = Vouched(); !s.ok()) return executor_->Refuse(call, s);
    SessionPtr session = executor_->OpenSession(call, request, connection->hello.host(),
                                                connection->hello.id(), MountRightsOf(*connection));
    if (session == nullptr) return;
    session->connection = connection;
    connection->context = session;
  });
  server_->Handle<rpc::Reclaim>([this](IncomingCallPtr incoming, const pb::ReclaimRequest& request) {
    if (CallPtr call = SessionCall(std::move(incoming))) {
      executor_->InTurn(call, [this, call, request] { executor_->Reclaim(call, request); });
    }
  });
  server_->Handle<rpc::KeepAlive>([this](IncomingCallPtr incoming, const pb::KeepAliveRequest& request) {
    if (CallPtr call = SessionCall(std::move(incoming))) {
      executor_->InTurn(call, [this, call, request] { executor_->KeepAlive(call, request); });
    }
  });
  server_->Handle<rpc::CloseSession>([this](IncomingCallPtr incoming, const pb::CloseSessionRequest&) {
    if (CallPtr call = SessionCall(std::move(incoming))) {
      call->session->closing = true;
      executor_->InTurn(call, [this, call] { executor_->CloseSession(call); });
    }
  });
  server_->Handle<rpc::CancelOp>([this](IncomingCallPtr incoming, const pb::CancelOpRequest& request) {
    if (CallPtr call = SessionCall(std::move(incoming))) {
      executor_->InTurn(call, [this, call, request] { executor_->CancelOp(call, request); });
    }
  });
}

// Whoever has been told that a volume was made or started finds it open, unless its log is long; and its
// files at rest when it was stopped.
void MetaServer::AnswerWhenSettled(std::function<void()> answer) {
  constexpr auto kPatience = std::chrono::seconds(2);
  auto once = std::make_shared<std::function<void()>>(std::move(answer));
  auto timer = std::make_shared<EventLoop::Timer>();
  const auto tell = [once, timer] {
    if (auto fn = std::exchange(*once, nullptr)) fn();
  };
  *timer = loop_.RunAfter(kPatience, tell);
  volumes_->WhenSettled([tell, timer] {
    timer->Cancel();
    tell();
  });
}

void MetaServer::OnDisconnect(const ConnectionPtr& connection) {
  if (stopped_) return;
  chunkservers_->Disconnected(connection.get());
  EndAccepted(connection.get());
  SessionPtr session = SessionOf(connection);
  if (session == nullptr || session->connection != connection) return;
  session->connection.reset();
  connection->context.reset();
  executor_->Disconnected(*session, session->connection_number);
}

void MetaServer::DrainReleases(Session& session, Ino ino, std::function<void()> done) {
  pb::DrainReleasesRequest request;
  request.set_ino(ToSession(session, ino));
  session.connection->Call(Op::kDrainReleases, request, {}, [done = std::move(done)](Answer) { done(); });
}

}  // namespace kfs::meta

#include "metaserver/executor/executor.h"

#include <fmt/format.h>
#include <google/protobuf/arena.h>

#include <algorithm>

#include "common/limits.h"
#include "common/log.h"
#include "common/reached.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/executor/op_env.h"
#include "metaserver/store/keys.h"
#include "proto/lanes.h"
#include "proto/logged.h"
#include "rpc/stall.h"

namespace kfs::meta {
namespace {

// A tick's batch beyond this is committed between two ops: memory stays bounded.
constexpr size_t kBatchBytesMax = 4u << 20;

// Each inode that a request names. An op on one that is not reached answers as if it did not exist.
template <typename Request>
Status CheckReach(Volume& volume, Session& session, Request* request) {
  if (session.reach == nullptr) return {};
  bool reached = true;
  MapInodes(request, [&](uint64_t ino) {
    reached = reached && InReach(volume, session, Ino(ino));
    return ino;
  });
  return reached ? Status() : Status(ESTALE, "the inode is not known to this mount");
}

Outbox::Fn IfOk(std::function<void()> fn) {
  return [fn = std::move(fn)](const Status& logged) {
    if (logged.ok()) fn();
  };
}

}  // namespace

Executor::Executor(Clock& clock, ExecutorOptions options, WalSync* sync, ExecutorEnv& env)
    : clock_(clock), options_(std::move(options)), sync_(sync), env_(env), gate_(clock, [this](SessionId id) {
        return FindSession(id);
      }) {}

Executor::~Executor() {
  lifetime_.End();
  LetGoOfCalls();
}

void Executor::ChunkserverUp(ServerId server) {
  for (const auto& [id, volume] : volumes_) {
    volume->fences.Up(server);
    volume->mutations.Kick();
  }
}

void Executor::ChunkserverKeyChanged(ServerId server) {
  for (const auto& [id, volume] : volumes_) {
    for (const auto& [sid, session] : volume->sessions) volume->tickets.KeyChanged(*session, server);
  }
}

// Sessions hold what waits, and that its session.
void Executor::LetGoOfCalls() {
  for (const auto& [id, volume] : volumes_) {
    for (const auto& [sid, session] : volume->sessions) {
      session->waiting.clear();
      session->parked.clear();
      session->reclaims.clear();
    }
  }
}

void Executor::Inside::WhenLogged(VolumeId volume, std::function<void()> fn) {
  executor_.WhenLogged(volume, IfOk(std::move(fn)));
}

void Executor::Inside::AfterSync(VolumeId volume, std::function<void()> fn) {
  executor_.AfterSync(volume, IfOk(std::move(fn)));
}

Status Executor::Inside::MayChange(const Volume& volume, const Txn& txn, std::function<void()> again) {
  const std::vector<Need> needs = executor_.gate_.Conflicts(volume, txn, {});
  if (needs.empty()) return {};
  executor_.gate_.Ask(needs, std::move(again));
  return Status(EAGAIN, Code::kTryAgain, "others are asked for what they hold of it");
}

void Executor::AddVolume(std::unique_ptr<Volume> volume) {
  VolumeId id = volume->id();
  volume->disk_full = disk_full_;
  volume->settings.session_keep = options_.session_keep;
  volume->tickets.SetTtl(options_.session_ttl);
  for (const auto& [sid, session] : volume->sessions) {
    if (session->expired == 0) volume->tickets.EndEarlier(*session, /*may_write=*/true);
  }
  volume->settings.slow_op = options_.slow_op;
  volume->store.db().OnLogChange(lifetime_.While([this] { Schedule(); }));
  volumes_[id] = std::move(volume);
  Schedule();
}

std::unique_ptr<VolumeStore> Executor::RemoveVolume(VolumeId id) {
  return CloseVolume(
      id, Status(EACCES, Code::kUnknownSession, "the session has ended: the volume has been deleted"));
}

std::unique_ptr<VolumeStore> Executor::CloseVolume(VolumeId id, const Status& why) {
  auto it = volumes_.find(id);
  if (it == volumes_.end()) return nullptr;
  EndTick();
  Volume& volume = *it->second;
  for (const auto& [sid, s] : volume.sessions) {
    s->elsewhere = why;
    s->volume = nullptr;
    gate_.Ended(sid);
    Ending ending(s, nullptr);
    ending.why = why;
    ending.done = [this, session = s, why] { CloseConnections(session, why); };
    endings_.Add(std::move(ending));
  }
  EndTick();  // the refusals leave before the connections are closed
  volume.outbox.Fail(why);
  volume.store.db().OnLogChange({});
  volume.store.MarkClean();
  ForgetDb(volume.store.db());
  std::unique_ptr<VolumeStore> store = volume.TakeStore();
  volumes_.erase(it);
  return store;
}

void Executor::SetDiskFull(bool full) {
  disk_full_ = full;
  for (const auto& [id, volume] : volumes_) volume->disk_full = full;
}

void Executor::ForgetDb(Db& db) {
  if (sync_ != nullptr) sync_->Remove(&db);
  env_.ForgetFetches(db);
}

Volume* Executor::FindVolume(VolumeId id) {
  auto it = volumes_.find(id);
  return it == volumes_.end() ? nullptr : it->second.get();
}

Volume* Executor::FindVolume(const std::string& name) {
  for (const auto& [id, v] : volumes_) {
    if (v->info.name() == name) return v.get();
  }
  return nullptr;
}

VolumeId Executor::VolumeOf(const Session& session) {
  return session.volume == nullptr ? VolumeId() : session.volume->id();
}

void Executor::InTurn(const CallPtr& call, std::function<void()> run) {
  Session& session = *call->session;
  if (!Alive(call)) return;
  call->arrived = session.last_heard = clock_.MonoNow();
  call->connection = session.lane(call->lane).connection_number;
  turns_.Add(VolumeOf(session), session.id, Turns::Lane::kInOrder, [call, run = std::move(run)] {
    // The client sends it again, or has given it up.
    if (call->connection > call->session->lane(call->lane).left_connection) run();
  });
  Schedule();
}

void Executor::Execute(const CallPtr& call) {
  InTurn(call, [this, call] { RunCall(call); });
}

void Executor::RunCall(const CallPtr& call) {
  if (!Alive(call)) return;
  const RanPart part(OpName(call->op()), /*around=*/true);
  switch (call->op()) {
#define KFS_CASE(number, name, ...) \
  case Op::k##name:                 \
    RunTyped<rpc::name>(call);      \
    break;
    KFS_VOLUME_OPS(KFS_CASE)
#undef KFS_CASE
    default:
      Refuse(call, Status(EOPNOTSUPP, "not an op of a session"));
      break;
  }
}

namespace {

// But for what the client has been answered meanwhile.
template <typename Rpc>
bool SameRequest(const OpCall& first, const OpCall& again) {
  if (first.op() != again.op()) return false;
  std::string asked[2];
  for (int i = 0; i < 2; ++i) {
    const std::string_view body = i == 0 ? first.body() : again.body();
    typename Rpc::Request request;
    if (!request.ParseFromArray(body.data(), static_cast<int>(body.size()))) return false;
    request.mutable_ctx()->clear_acked();
    request.SerializeToString(&asked[i]);
  }
  return asked[0] == asked[1];
}

}  // namespace

template <typename Rpc>
void Executor::RunTyped(const CallPtr& call) {
  // Requests and replies of the common ops fit into the block: no allocation for them.
  alignas(16) char block[2048];
  google::protobuf::ArenaOptions arena_options;
  arena_options.initial_block = block;
  arena_options.initial_block_size = sizeof(block);
  google::protobuf::Arena arena(arena_options);
  auto* request = google::protobuf::Arena::CreateMessage<typename Rpc::Request>(&arena);
  auto* reply = google::protobuf::Arena::CreateMessage<typename Rpc::Reply>(&arena);
  std::string_view body = call->body();
  if (!request->ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return Refuse(call, Status(EINVAL, Code::kMalformed, "the request cannot be understood"));
  }
  const pb::Context& ctx = request->ctx();
  call->trace_id = ctx.trace_id();
  call->op_id = Rpc::kMutates ? ctx.op_id() : 0;
  if (Rpc::kMutates && NumberInLane(ctx.op_id()) == 0) {
    return Refuse(call, Status(EINVAL, Code::kMalformed, "an op that changes something needs an op id"));
  }
  if (!IsOfLane(call->op_id, call->lane) || !IsOfLane(ctx.acked(), call->lane))
    return Refuse(call, Status(EINVAL, Code::kMalformed, "an op id of another lane than the connection's"));
  if (static_cast<size_t>(ctx.groups_size()) > kGroupsMax) {
    return Refuse(call, Status(EINVAL, Code::kMalformed, "too many groups"));
  }
  if (std::max(ctx.caps_uids_size(), ctx.caps_gids_size()) > kIdRangesMax * 2) {
    return Refuse(call, Status(EINVAL, Code::kMalformed, "too many ranges of ids"));
  }
  const bool logged = Rpc::kMutates && IsLogged(*request);
  if (!Admit(call, ctx, logged, &SameRequest<Rpc>)) return;
  Session& session = *call->session;
  Volume& volume = *session.volume;
  SquashCaller(session.rights, request->mutable_ctx());
  if (session.root != kRootIno)
    MapInodes(request, [&session](uint64_t ino) { return FromSession(session, ino).v; });
  volume.txn.Clear();
  OpEnv env{*this, volume, session, request->ctx(), volume.txn, volume.Now(), call};
  Db& db = volume.store.db();
  db.FromMemoryOnly(env_.CanFetch());
  Status status = CheckReach(volume, session, request);
  if (status.ok()) status = Handle(env, *request, reply);
  db.FromMemoryOnly(false);
  if (std::vector<std::string> cold = db.TakeCold(); !cold.empty()) {
    volume.txn.Clear();
    if (const Status may = MayPark(*call); !may.ok()) return Refuse(call, may);
    return FetchAndRerun(volume, call, std::move(cold));
  }
  // Also what is refused tells of what others hold.
  if (Status read = db.TakeReadError(); !read.ok()) {
    status = read;
  } else if (AsksFirst(env)) {
    return;
  }
  // Without a stored answer a change of the store could happen twice (P3).
  if (status.ok()) status = Count(env, !Rpc::kMutates || logged);
  if (status.ok() && env.parked) return ParkRun(env);
  if (!status.ok()) {
    volume.txn.Clear();
    Refuse(call, status);
    if (env.on_answer) env.on_answer(status);
    return;
  }
  if (session.reach != nullptr) ForEachNamed(*reply, [&session](Ino ino) { session.reach->Named(ino); });
  if (session.root != kRootIno)
    MapInodes(reply, [&session](uint64_t ino) { return ToSession(session, Ino(ino)); });
  std::string out;
  reply->SerializeToString(&out);
  if (Rpc::kMutates) KeepReply(*call, logged, out, env.opened, env.opened_for, env.lock);
  volume.txn.Apply();
  Answer(call, std::move(out));
  if (env.on_answer) env.on_answer(status);
  if (volume.store.db().batch_bytes() > kBatchBytesMax) CommitVolume(volume);
}

SessionPtr Executor::FindSession(SessionId id) const {
  const auto volume = volumes_.find(VolumeStore::VolumeOf(id));
  if (volume == volumes_.end()) return nullptr;
  const auto it = volume->second->sessions.find(id);
  return it == volume->second->sessions.end() || it->second->expired != 0 ? nullptr : it->second;
}

bool Executor::AsksFirst(OpEnv& env) {
  const std::vector<Need> needs = gate_.Conflicts(env.volume, env.txn, env.session.id);
  if (needs.empty()) return false;
  env.txn.Clear();
  Status may = MayPark(*env.call);
  if (may.ok()) may = MayAsk(needs);
  if (may.ok()) {
    Ask(needs, Park(env.call, "others' holds"));
  } else {
    Refuse(env.call, may);
  }
  return true;
}

Status Executor::Count(OpEnv& env, bool may_store) {
  // Of an op that runs in steps, too, nothing may be changed.
  if (env.txn.changes_inodes()) KFS_RETURN_IF_ERROR(CheckWritable(env.volume, env.session));
  // Our bug: it does not happen at all.
  if (!may_store && !env.txn.empty())
    return Status(EIO, fmt::format("{} changes what is stored, and is not logged", OpName(env.call->op())));
  if (env.decide) KFS_RETURN_IF_ERROR(env.decide());
  return env.parked ? MayPark(*env.call) : Status();
}

void Executor::ParkRun(OpEnv& env) {
  env.call->progress = env.progress;
  env.call->wanted.reset();  // the next step has other records
  env.call->cold_again = 0;
  const ParkedPtr parked = Park(env.call, env.waits);
  KFS_REACHED("call.parked");
  env.txn.Apply();
  env.on_park(parked);
  Schedule();
}

Status Executor::Want(Db& db, const std::vector<std::string>& keys, std::shared_ptr<WantedRecords>* wanted,
                      int* again) {
  if (*wanted == nullptr) *wanted = db.NewWanted();
  if ((*wanted)->Add(keys) || ++*again <= kColdAgainMax) return {};
  return Status(EAGAIN, Code::kTryAgain, "its records change as fast as they are read: try again");
}

void Executor::FetchAndRerun(Volume& volume, const CallPtr& call, std::vector<std::string> keys) {
  ++cold_runs_;
  if (Status more = Want(volume.store.db(), keys, &call->wanted, &call->cold_again); !more.ok())
    return Refuse(call, more);
  env_.Fetch(volume.store.db(), std::move(keys),
             lifetime_.While([this, parked = Park(call, "records on disk")] { Rerun(parked); }));
}

bool Executor::Admit(const CallPtr& call, const pb::Context& ctx, bool logged, SameFn same) {
  Session& session = *call->session;
  if (!session.reclaimed) {
    Refuse(call, Status(EAGAIN, Code::kTryAgain, "the metaserver has restarted: reclaim first"));
    return false;
  }
  Lane& lane = session.lane(call->lane);
  if (ctx.acked() > lane.acked) TrimReplies(session, call->lane, ctx.acked());
  if (call->op_id != 0 && session.volume->store.db().pending_bytes() > kPendingBytesMax) {
    Refuse(call, Status(EAGAIN, Code::kTryAgain, "the volume's log is behind: try again"));
    return false;
  }
  const uint64_t op_id = call->op_id;
  if (op_id == 0) return true;
  if (session.replies.contains(op_id) || session.remembered.contains(op_id)) {
    if (Replay(call, logged)) return false;
  }
  if (op_id <= lane.acked) {
    Refuse(call, Status(EINVAL, Code::kMalformed, "an op that was acknowledged cannot come again"));
    return false;
  }
  if (auto it = session.waiting.find(op_id); it != session.waiting.end()) {
    // The first arrival waits still: this one gets its answer. What that one has been through counts for the
    // same request only.
    const CallPtr& first = it->second->call;
    if (first != call) {
      if (!same(*first, *call)) {
        Refuse(call, Status(EINVAL, Code::kMalformed, "the op id belongs to another op"));
        return false;
      }
      call->TakeOver(*first);
      it->second->call = call;
      it->second->Weigh(Parked::WeightOf(*call));
    }
    return false;
  }
  if (logged || session.counts_all) {
    if (const Status room = session.volume->stored_replies.Room(session); !room.ok()) {
      Refuse(call, room);
      return false;
    }
  }
  const bool room = logged || session.remembered.HasRoom(*remembered_bytes_);
  if (session.replies_kept() >= kRepliesKeptMax || !room) {
    Refuse(call, Status(EAGAIN, Code::kTryAgain, "too many answers are not yet acknowledged"));
    return false;
  }
  return true;
}

}  // namespace kfs::meta

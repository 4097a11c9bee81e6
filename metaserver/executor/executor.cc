#include "metaserver/executor/executor.h"

#include <fmt/format.h>
#include <google/protobuf/arena.h>

#include <algorithm>

#include "common/limits.h"
#include "common/log.h"
#include "metaserver/executor/op_env.h"
#include "metaserver/ops/handlers.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

// A tick's batch beyond this is committed between two ops: memory stays bounded.
constexpr size_t kBatchBytesMax = 4u << 20;
// Background work of one tick, so that clients are not kept waiting: steps, and their time.
// Calls of one session that wait for locks, chunkservers or syncs.
constexpr size_t kParkedMax = 65536;
// An op whose records are dropped from memory as often as they are read reads the disk itself in the end.
constexpr int kColdRunsMax = 4;
constexpr int kReapStepsPerTick = 32;
constexpr auto kReapTimePerTick = std::chrono::milliseconds(1);

// Whether the handler changes memory through Txn::OnApply only, so that a run can be dropped and repeated.
// These do more: they queue for locks, chunks or the append token.
constexpr bool RunsAgain(Op op) {
  switch (op) {
    case Op::kSetLock:
    case Op::kReadLayout:
    case Op::kPrepareWrite:
    case Op::kCommitWrite:
    case Op::kFallocate:
    case Op::kAbortAppend:
    case Op::kFsync:
      return false;
    default:
      return true;
  }
}

constexpr bool MakesSomething(Op op) {
  switch (op) {
    case Op::kMkdir:
    case Op::kMknod:
    case Op::kSymlink:
    case Op::kLink:
    case Op::kCreate:
    case Op::kTmpfile:
    case Op::kSetxattr:
    case Op::kPrepareWrite:
    case Op::kFallocate:
      return true;
    default:
      return false;
  }
}

}  // namespace

ParkedPtr OpEnv::Park(const char* waits_for) {
  parked = true;
  return executor.Park(call, waits_for);
}

Executor::Executor(Clock& clock, ExecutorOptions options, WalSync* sync, Hooks hooks)
    : clock_(clock), options_(options), sync_(sync), hooks_(std::move(hooks)) {}

Executor::~Executor() { *alive_ = false; }

VolumeHooks Executor::HooksForVolume() {
  return {.rerun = [this](ParkedPtr parked) { Rerun(std::move(parked)); },
          .changed = [this] { Schedule(); },
          .after_sync =
              [this](Db& db, std::function<void()> fn) {
                if (sync_ == nullptr) return fn();
                sync_->SyncNow(&db, std::move(fn));
              }};
}

void Executor::AddVolume(std::unique_ptr<Volume> volume) {
  VolumeId id = volume->id();
  volumes_[id] = std::move(volume);
  Schedule();
}

void Executor::RemoveVolume(VolumeId id) {
  auto it = volumes_.find(id);
  if (it == volumes_.end()) return;
  std::vector<SessionPtr> sessions;
  for (const auto& [sid, s] : it->second->sessions) sessions.push_back(s);
  for (const SessionPtr& s : sessions) EndSession(s, "the volume has been deleted");
  EndTick();
  ForgetDb(it->second->store.db());
  volumes_.erase(it);
}

void Executor::ForgetDb(Db& db) {
  if (sync_ != nullptr) sync_->Remove(&db);
  if (hooks_.forget_fetches) hooks_.forget_fetches(db);
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

void Executor::Execute(const CallPtr& call) {
  Session& session = *call->session;
  if (!Alive(call)) return;
  if (call->arrived == MonoTime{}) {
    call->arrived = clock_.MonoNow();
    session.last_heard = call->arrived;
    call->connection = session.connection_number;
  }
  switch (call->op()) {
#define KFS_CASE(name)         \
  case Op::k##name:            \
    RunTyped<rpc::name>(call); \
    break;
    KFS_META_OPS(KFS_CASE)
#undef KFS_CASE
    default:
      Refuse(call, Status(EOPNOTSUPP, "not an op of a session"));
      break;
  }
}

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
  if (Rpc::kMutates && ctx.op_id() == 0) {
    return Refuse(call, Status(EINVAL, Code::kMalformed, "an op that changes something needs an op id"));
  }
  if (static_cast<size_t>(ctx.groups_size()) > kGroupsMax) {
    return Refuse(call, Status(EINVAL, Code::kMalformed, "too many groups"));
  }
  if (!Admit(call, ctx)) return;
  if (full_ && MakesSomething(Rpc::kOp)) {
    return Refuse(call, Status(ENOSPC, "the metaserver's disk is full: make room there, or remove files"));
  }
  Session& session = *call->session;
  Volume& volume = *session.volume;
  volume.txn.Clear();
  OpEnv env{*this, volume, session, ctx, volume.txn, volume.Now(), call};
  Db& db = volume.store.db();
  db.FromMemoryOnly(hooks_.fetch && RunsAgain(Rpc::kOp) && call->cold_runs < kColdRunsMax);
  Status status = Handle(env, *request, reply);
  db.FromMemoryOnly(false);
  if (std::vector<std::string> cold = db.TakeCold(); !cold.empty()) {
    volume.txn.Clear();
    return FetchAndRerun(volume, call, std::move(cold));
  }
  if (Status read = volume.store.db().TakeReadError(); !read.ok() && !env.parked) status = read;
  if (env.parked) {
    volume.txn.Apply();
    return Schedule();
  }
  if (!status.ok()) {
    volume.txn.Clear();
    return Refuse(call, status);
  }
  std::string out;
  reply->SerializeToString(&out);
  if (Rpc::kMutates) StoreReply(volume, session, call->op_id, Rpc::kOp, out, env.opened, env.lock);
  volume.txn.Apply();
  Answer(call, std::move(out));
  if (volume.store.db().batch_bytes() > kBatchBytesMax) volume.store.Commit();
}

void Executor::FetchAndRerun(Volume& volume, const CallPtr& call, std::vector<std::string> keys) {
  ++cold_runs_;
  ++call->cold_runs;
  hooks_.fetch(volume.store.db(), std::move(keys),
               [this, alive = alive_, parked = Park(call, "records on disk")] {
                 if (*alive) Rerun(parked);
               });
}

bool Executor::Admit(const CallPtr& call, const pb::Context& ctx) {
  Session& session = *call->session;
  if (!session.reclaimed) {
    Refuse(call, Status(EAGAIN, Code::kTryAgain, "the metaserver has restarted: reclaim first"));
    return false;
  }
  if (ctx.acked() > session.acked) TrimReplies(session, ctx.acked());
  if (session.parked.size() >= kParkedMax && (call->op() == Op::kSetLock || call->op() == Op::kReadLayout ||
                                              call->op() == Op::kPrepareWrite || call->op() == Op::kFsync)) {
    Refuse(call, Status(EAGAIN, Code::kTryAgain, "too many calls of this session wait"));
    return false;
  }
  const uint64_t op_id = call->op_id;
  if (op_id == 0) return true;
  if (session.replies.contains(op_id)) {
    if (Replay(call)) return false;
  }
  if (op_id <= session.acked) {
    Refuse(call, Status(EINVAL, Code::kMalformed, "an op that was acknowledged cannot come again"));
    return false;
  }
  if (auto it = session.waiting.find(op_id); it != session.waiting.end()) {
    // The first arrival waits still: this one gets its answer.
    if (it->second->call != call) {
      if (it->second->call != nullptr) call->TakeOver(*it->second->call);
      it->second->call = call;
    }
    return false;
  }
  if (session.replies.size() >= kRepliesKeptMax) {
    Refuse(call, Status(EAGAIN, Code::kTryAgain, "too many answers are not yet acknowledged"));
    return false;
  }
  return true;
}

void Executor::StoreReply(Volume& volume, Session& session, uint64_t op_id, Op op, const std::string& body,
                          Ino opened, const pb::LockRange* lock) {
  rec::Reply record;
  record.set_op(static_cast<uint32_t>(op));
  record.set_body(body);
  record.set_opened(opened.v);
  if (lock != nullptr) record.set_lock(lock->SerializeAsString());
  volume.store.db().PutBlind(ReplyKey(session.id, op_id), record.SerializeAsString());
  session.replies.insert(session.replies.end(), op_id);
}

void Executor::TrimReplies(Session& session, uint64_t acked) {
  session.acked = acked;
  while (!session.replies.empty() && *session.replies.begin() <= acked) {
    uint64_t op_id = *session.replies.begin();
    session.volume->store.db().DeleteBlind(ReplyKey(session.id, op_id));
    if (!session.old_replies.empty()) session.old_replies.erase(op_id);
    session.replies.erase(session.replies.begin());
  }
  Schedule();
}

bool Executor::Replay(const CallPtr& call) {
  ++replays_;
  Session& session = *call->session;
  Volume& volume = *session.volume;
  volume.store.Commit();  // stored replies of this tick are not indexed
  std::optional<std::string> stored = volume.store.db().Get(ReplyKey(session.id, call->op_id));
  rec::Reply record;
  if (!stored || !record.ParseFromString(*stored)) {
    (void)volume.store.db().TakeReadError();
    Refuse(call, Status(EIO, "the stored answer cannot be read"));
    return true;
  }
  if (record.op() != static_cast<uint32_t>(call->op())) {
    Refuse(call, Status(EINVAL, Code::kMalformed, "the op id belongs to another op"));
    return true;
  }
  if (session.old_replies.erase(call->op_id) > 0) {
    // Its memory effects died with the last incarnation; the client has not reclaimed what it did not know
    // of.
    if (record.opened() != 0 && volume.store.GetInode(Ino(record.opened())) != nullptr) {
      volume.AddOpen(session, Ino(record.opened()));
    }
    pb::LockRange lock;
    if (!record.lock().empty() && lock.ParseFromString(record.lock()) &&
        volume.locks.Set(Ino(lock.ino()), {session.id, lock.owner()},
                         {.type = static_cast<LockType>(lock.type()),
                          .flock = lock.flock(),
                          .start = lock.start(),
                          .end = lock.end(),
                          .pid = lock.pid()}) != LockTable::Outcome::kGranted) {
      // Nobody was told of that grant, and another holds the lock by now: the op is run anew.
      session.replies.erase(call->op_id);
      volume.store.db().DeleteBlind(ReplyKey(session.id, call->op_id));
      return false;
    }
  }
  KFS_LOG(debug, "op.replayed op={} session={} op_id={}", OpName(call->op()), session.id.v, call->op_id);
  Answer(call, record.body());
  return true;
}

ParkedPtr Executor::Park(const CallPtr& call, const char* waits_for) {
  auto parked = std::make_shared<Parked>(Parked{call, waits_for});
  call->Parked();
  call->session->parked.insert(parked);
  if (call->op_id != 0) call->session->waiting[call->op_id] = parked;
  return parked;
}

void Executor::Unpark(const ParkedPtr& parked) {
  if (parked->call == nullptr) return;
  Session& session = *parked->call->session;
  session.parked.erase(parked);
  if (parked->call->op_id != 0) session.waiting.erase(parked->call->op_id);
}

void Executor::Rerun(ParkedPtr parked) {
  ready_.push_back(std::move(parked));
  Schedule();
}

void Executor::Finish(const ParkedPtr& parked, const Status& status) {
  if (parked->call == nullptr) return;
  CallPtr call = parked->call;
  Unpark(parked);
  parked->call = nullptr;
  if (status.ok()) {
    Answer(call, "");
  } else {
    Refuse(call, status);
  }
}

void Executor::FinishLock(const ParkedPtr& parked, const Status& status, const pb::LockRange& lock) {
  if (parked->call == nullptr) return;
  CallPtr call = parked->call;
  if (status.ok() && call->session->volume != nullptr) {
    StoreReply(*call->session->volume, *call->session, call->op_id, call->op(), "", {}, &lock);
  }
  Finish(parked, status);
}

void Executor::FinishAfterSync(Volume& volume, ParkedPtr parked) {
  sync_waits_[volume.id()].push_back(std::move(parked));
  Schedule();
}

void Executor::Answer(const CallPtr& call, std::string body) {
  outgoing_.push_back({call, Status(), 0, std::move(body)});
  Schedule();
}

void Executor::Refuse(const CallPtr& call, const Status& status, uint64_t detail) {
  outgoing_.push_back({call, status, detail, {}});
  Schedule();
}

void Executor::Schedule() {
  if (scheduled_) return;
  scheduled_ = true;
  if (hooks_.schedule_tick) hooks_.schedule_tick();
}

void Executor::EndTick() {
  scheduled_ = true;  // what happens below needs no other tick
  size_t rounds = 0;
  const MonoTime reap_until = clock_.MonoNow() + kReapTimePerTick;
  int reap_steps = 0;
  do {
    // Calls that become ready while these run are taken in the next round; a bound keeps others from
    // starving.
    for (size_t n = ready_.size(); n > 0; --n) {
      ParkedPtr parked = std::move(ready_.front());
      ready_.pop_front();
      CallPtr call = parked->call;
      if (call == nullptr) continue;
      Unpark(parked);
      parked->call = nullptr;
      Execute(call);
    }
    for (auto& [id, volume] : volumes_) {
      while (reap_steps < kReapStepsPerTick && clock_.MonoNow() <= reap_until &&
             volume->orphans_queued() > 0) {
        volume->ReapStep();
        ++reap_steps;
      }
      if (volume->store.dirty()) volume->store.Commit();
      // Ops that iterate commit in the middle of a tick.
      if (volume->store.db().TakeUnsynced() && sync_ != nullptr) sync_->Changed(&volume->store.db());
      volume->mutations.Flush();
    }
  } while (!ready_.empty() && ++rounds < 64);
  std::vector<Outgoing> outgoing;
  outgoing.swap(outgoing_);
  const MonoTime now = clock_.MonoNow();
  for (Outgoing& o : outgoing) {
    if (o.call->arrived != MonoTime{} && now - o.call->arrived > options_.slow_op &&
        o.call->op() != Op::kSetLock) {
      KFS_LOG(warn, "op.slow op={} session={} op_id={} ms={} status=\"{}\"", OpName(o.call->op()),
              o.call->session == nullptr ? 0 : o.call->session->id.v, o.call->op_id,
              std::chrono::duration_cast<std::chrono::milliseconds>(now - o.call->arrived).count(),
              o.status.ToString());
    }
    if (o.call->trace_id != 0) {
      KFS_LOG(info, "op.trace id={:#x} op={} stage=metaserver us={}", o.call->trace_id, OpName(o.call->op()),
              std::chrono::duration_cast<std::chrono::microseconds>(now - o.call->arrived).count());
    }
    if (o.status.ok()) {
      o.call->Reply(o.body);
    } else {
      o.call->Fail(o.status, o.detail);
    }
  }
  auto waits = std::move(sync_waits_);
  sync_waits_.clear();
  scheduled_ = false;
  for (auto& [id, parked] : waits) {
    Volume* volume = FindVolume(id);
    if (volume == nullptr) continue;
    if (sync_ == nullptr) {
      Status s = volume->store.db().Sync();
      for (const ParkedPtr& p : parked) Finish(p, s);
      continue;
    }
    sync_->SyncNow(&volume->store.db(), [this, alive = alive_, parked = std::move(parked)] {
      if (!*alive) return;
      for (const ParkedPtr& p : parked) Finish(p, Status());
    });
  }
  bool more = !ready_.empty();
  for (auto& [id, volume] : volumes_) more = more || volume->orphans_queued() > 0;
  // Not in this tick: its end would not come before the last of them.
  if (!more || next_asked_ || !hooks_.next_tick) return;
  next_asked_ = true;
  hooks_.next_tick();
}

void Executor::NextTick() {
  next_asked_ = false;
  EndTick();
}

void Executor::OnTimer() {
  const MonoTime now = clock_.MonoNow();
  for (auto& [id, volume] : volumes_) {
    ExpireSessions(*volume);
    volume->EndLinger();
    volume->mutations.Kick();
    volume->garbage.Run();
  }
  for (const auto& drain : std::vector<std::shared_ptr<Drain>>(drains_)) {
    if (now > drain->deadline) FinishDrain(drain);
  }
  Schedule();
}

void Executor::Stop() {
  EndTick();
  for (auto& [id, volume] : volumes_) {
    volume->store.MarkClean();
    ForgetDb(volume->store.db());
  }
  volumes_.clear();
}

void Executor::DrainFlockHolders(Ino ino, Volume& volume, ParkedPtr parked) {
  // A mount that is busy with its kernel answers late or never.
  constexpr auto kDrainMax = std::chrono::seconds(2);
  auto drain = std::make_shared<Drain>(Drain{std::move(parked), 0, clock_.MonoNow() + kDrainMax, false});
  drain->parked->call->drained = true;
  drains_.push_back(drain);
  std::vector<SessionPtr> holders;
  for (SessionId id : volume.locks.FlockHolders(ino)) {
    auto it = volume.sessions.find(id);
    if (it != volume.sessions.end() && it->second->connection != nullptr && hooks_.drain)
      holders.push_back(it->second);
  }
  drain->left = holders.size() + 1;
  auto one_less = [this, alive = alive_, drain] {
    if (*alive && --drain->left == 0) FinishDrain(drain);
  };
  for (const SessionPtr& s : holders) hooks_.drain(*s, ino, one_less);
  one_less();
}

void Executor::FinishDrain(const std::shared_ptr<Drain>& drain) {
  if (drain->done) return;
  drain->done = true;
  std::erase(drains_, drain);
  Rerun(drain->parked);
}

uint64_t Executor::parked_now() const {
  uint64_t n = 0;
  for (const auto& [id, volume] : volumes_) {
    for (const auto& [sid, s] : volume->sessions) n += s->parked.size();
  }
  return n;
}

}  // namespace kfs::meta

// The end of a tick: what became ready runs, everything is committed once, the answers leave; background work
// gets its share.
#include <algorithm>
#include <utility>

#include "common/log.h"
#include "metaserver/executor/executor.h"
#include "rpc/stall.h"

namespace kfs::meta {
namespace {

// Work of one tick that is nobody's request, so that clients are not kept waiting: steps, and their time.
constexpr int kStepsPerTick = 256;
constexpr auto kStepsTimePerTick = std::chrono::milliseconds(1);

}  // namespace

void Executor::Answer(const CallPtr& call, std::string body, VolumeId of) {
  if (!of && call->session != nullptr) of = VolumeStore::VolumeOf(call->session->id);
  outgoing_.push_back({call, Status(), 0, std::move(body), of});
  Schedule();
}

void Executor::Refuse(const CallPtr& call, const Status& status, uint64_t detail, VolumeId of) {
  if (!of && call->session != nullptr) of = VolumeStore::VolumeOf(call->session->id);
  outgoing_.push_back({call, status, detail, {}, of});
  Schedule();
}

void Executor::Schedule() {
  if (scheduled_) return;
  scheduled_ = true;
  env_.ScheduleTick();
}

void Executor::CommitVolume(Volume& volume) {
  Db& db = volume.store.db();
  db.Advance();
  if (volume.store.dirty()) {
    const RanPart part("commit", /*around=*/true);
    volume.store.Commit();
  }
  if (!db.damage().ok()) env_.Damaged(volume.id());
  if (db.lost()) return volume.outbox.Fail(db.damage());
  // A large batch is committed in the middle of a tick.
  if (db.TakeUnsynced() && sync_ != nullptr) sync_->Changed(&db);
  volume.outbox.Release(db.acknowledged());
  volume.mutations.Flush();
}

void Executor::WhenLogged(VolumeId id, Outbox::Fn fn) {
  Volume* volume = FindVolume(id);
  if (volume == nullptr || !volume->store.dirty()) return Leave(volume, std::move(fn));
  leaving_.emplace_back(id, std::move(fn));
  Schedule();
}

void Executor::Leave(Volume* volume, Outbox::Fn fn) {
  if (volume == nullptr) return fn({});
  const Db& db = volume->store.db();
  if (db.lost()) return fn(db.damage());
  if (db.settled() && volume->outbox.empty()) return fn({});
  volume->outbox.Add(db.appended(), std::move(fn));
}

void Executor::SendAnswers() {
  for (Outgoing& o : std::exchange(outgoing_, {})) {
    Volume* volume = FindVolume(o.volume);
    // Without a detour, as nearly always.
    if (volume == nullptr ||
        (volume->store.db().settled() && volume->outbox.empty() && !volume->store.db().lost())) {
      SendAnswer(o, {});
      continue;
    }
    Leave(volume, [this, o = std::move(o)](const Status& logged) { SendAnswer(o, logged); });
  }
}

void Executor::SendAnswer(const Outgoing& o, const Status& logged) {
  const MonoTime now = clock_.MonoNow();
  const Session* session = o.call->session.get();
  const Duration slow =
      session != nullptr && session->volume != nullptr ? session->volume->settings.slow_op : options_.slow_op;
  if (o.call->arrived != MonoTime{} && now - o.call->arrived > slow && o.call->op() != Op::kSetLock) {
    KFS_LOG(warn, "op.slow op={} session={} op_id={} trace={:08x} ms={} status=\"{}\"", OpName(o.call->op()),
            session == nullptr ? 0 : session->id.v, o.call->op_id, o.call->trace,
            std::chrono::duration_cast<std::chrono::milliseconds>(now - o.call->arrived).count(),
            o.status.ToString());
  }
  if (o.call->trace_id != 0) {
    KFS_LOG(info, "op.trace id={:#x} op={} stage=metaserver us={}", o.call->trace_id, OpName(o.call->op()),
            std::chrono::duration_cast<std::chrono::microseconds>(now - o.call->arrived).count());
  }
  if (!logged.ok()) {
    o.call->Fail(logged, 0);
  } else if (o.status.ok()) {
    o.call->Reply(o.body);
  } else {
    o.call->Fail(o.status, o.detail);
  }
}

void Executor::CloseConnections(const SessionPtr& session, const Status& why) {
  for (const auto& [n, lane] : session->lanes) closing_.push_back({session, why, n, lane.connection_number});
  Schedule();
}

void Executor::CloseConnections() {
  for (Closing& closing : std::exchange(closing_, {})) {
    Leave(FindVolume(VolumeStore::VolumeOf(closing.session->id)),
          [this, closing = std::move(closing)](const Status&) {
            Lane& lane = closing.session->lane(closing.lane);
            // Else the client has another one by now.
            if (lane.connection_number != closing.connection) return;
            lane.left_connection = closing.connection;
            env_.CloseConnection(*closing.session, closing.lane, closing.why);
          });
  }
}

void Executor::AfterSync(VolumeId id, Outbox::Fn fn) {
  sync_waits_[id].push_back(std::move(fn));
  Schedule();
}

void Executor::SyncFor(VolumeId id, std::vector<Outbox::Fn> waiting) {
  Volume* volume = FindVolume(id);
  if (volume == nullptr) return;
  Db& db = volume->store.db();
  if (sync_ == nullptr || db.lost()) {
    const Status s = db.Sync();
    for (Outbox::Fn& fn : waiting) {
      if (!s.ok()) {
        fn(s);
      } else {
        WhenLogged(id, std::move(fn));
      }
    }
    return;
  }
  sync_->SyncNow(&db, lifetime_.While([this, id, waiting = std::move(waiting)] {
    for (const Outbox::Fn& fn : waiting) WhenLogged(id, fn);
  }));
}

bool Executor::HasStep(Volume& volume) {
  return volume.HasStep() && volume.store.db().pending_bytes() <= kPendingBytesMax;
}

bool Executor::HasBackgroundWork() const {
  if (!endings_.empty()) return true;
  return std::ranges::any_of(volumes_, [](const auto& entry) { return HasStep(*entry.second); });
}

void Executor::EndTick() {
  scheduled_ = true;  // what happens below needs no other tick
  size_t rounds = 0;
  int steps = 0;
  MonoTime steps_until{};
  const auto may_step = [&] {
    if (steps == 0) steps_until = clock_.MonoNow() + kStepsTimePerTick;
    return steps++ < kStepsPerTick && clock_.MonoNow() <= steps_until;
  };
  do {
    // Calls that become ready while these run are taken in the next round, if there is time.
    turns_.Run();
    for (bool more = HasBackgroundWork(); more && may_step();) {
      more = endings_.Step();
      for (auto& [id, volume] : volumes_) more = (HasStep(*volume) && volume->Step()) || more;
    }
    auto leaving = std::exchange(leaving_, {});
    for (auto& [id, volume] : volumes_) CommitVolume(*volume);
    for (auto& [id, fn] : leaving) Leave(FindVolume(id), std::move(fn));
  } while ((turns_.waiting() != 0 || !leaving_.empty()) && !turns_.Spent() && ++rounds < 64);
  turns_.TickEnded();
  SendAnswers();
  CloseConnections();
  auto waits = std::move(sync_waits_);
  sync_waits_.clear();
  scheduled_ = false;
  for (auto& [id, waiting] : waits) SyncFor(id, std::move(waiting));
  const bool more = turns_.waiting() != 0 || !leaving_.empty() || HasBackgroundWork();
  // Not in this tick: its end would not come before the last of them.
  if (!more || next_asked_) return;
  next_asked_ = true;
  env_.ScheduleNextTick();
}

void Executor::NextTick() {
  next_asked_ = false;
  Schedule();  // not at once: what the sockets have brought has its turn, too
}

void Executor::OnTimer() {
  for (auto& [id, volume] : volumes_) {
    if (volume->store.db().lost()) continue;
    ExpireKeys(*volume);
    ExpireSessions(*volume);
    volume->fences.OnTimer();
    volume->freeing.EndLinger();
    volume->EndLongAppends();
    volume->mutations.Kick();
    volume->garbage.Run();
  }
  gate_.OnTimer();
  Schedule();
}

void Executor::Stop() {
  EndTick();
  for (auto& [id, volume] : volumes_) {
    volume->store.MarkClean();
    ForgetDb(volume->store.db());
  }
  LetGoOfCalls();
  volumes_.clear();
}

}  // namespace kfs::meta

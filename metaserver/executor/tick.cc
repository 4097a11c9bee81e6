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

void Executor::CommitVolume(Volume& volume) {
  if (volume.store.dirty()) {
    const RanPart part("commit");
    volume.store.Commit();
  }
  Db& db = volume.store.db();
  if (!db.damage().ok() && hooks_.damaged) hooks_.damaged(volume.id());
  if (db.lost()) return;  // nothing may follow from what was not stored
  // Ops that iterate commit in the middle of a tick.
  if (db.TakeUnsynced() && sync_ != nullptr) sync_->Changed(&db);
  volume.mutations.Flush();
}

Status Executor::Kept(const Outgoing& o) {
  const Volume* volume = o.call->session == nullptr ? nullptr : o.call->session->volume;
  const bool lost = o.status.ok() && volume != nullptr && volume->store.db().lost();
  return lost ? volume->store.db().damage() : o.status;
}

void Executor::SyncFor(VolumeId id, std::vector<ParkedPtr> parked) {
  Volume* volume = FindVolume(id);
  if (volume == nullptr) return;
  Db& db = volume->store.db();
  if (sync_ == nullptr || db.lost()) {
    const Status s = db.Sync();
    for (const ParkedPtr& p : parked) Finish(p, s);
    return;
  }
  sync_->SyncNow(&db, [this, alive = alive_, parked = std::move(parked)] {
    if (!*alive) return;
    for (const ParkedPtr& p : parked) Finish(p, Status());
  });
}

bool Executor::HasBackgroundWork() const {
  if (!endings_.empty()) return true;
  return std::ranges::any_of(volumes_, [](const auto& entry) { return entry.second->HasStep(); });
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
      for (auto& [id, volume] : volumes_) more = (volume->HasStep() && volume->Step()) || more;
    }
    for (auto& [id, volume] : volumes_) CommitVolume(*volume);
  } while (turns_.waiting() != 0 && !turns_.Spent() && ++rounds < 64);
  turns_.TickEnded();
  std::vector<Outgoing> outgoing;
  outgoing.swap(outgoing_);
  const MonoTime now = clock_.MonoNow();
  for (Outgoing& o : outgoing) {
    const Session* session = o.call->session.get();
    const Duration slow = session != nullptr && session->volume != nullptr ? session->volume->settings.slow_op
                                                                           : options_.slow_op;
    if (o.call->arrived != MonoTime{} && now - o.call->arrived > slow && o.call->op() != Op::kSetLock) {
      KFS_LOG(warn, "op.slow op={} session={} op_id={} ms={} status=\"{}\"", OpName(o.call->op()),
              session == nullptr ? 0 : session->id.v, o.call->op_id,
              std::chrono::duration_cast<std::chrono::milliseconds>(now - o.call->arrived).count(),
              o.status.ToString());
    }
    if (o.call->trace_id != 0) {
      KFS_LOG(info, "op.trace id={:#x} op={} stage=metaserver us={}", o.call->trace_id, OpName(o.call->op()),
              std::chrono::duration_cast<std::chrono::microseconds>(now - o.call->arrived).count());
    }
    if (const Status kept = Kept(o); kept.ok()) {
      o.call->Reply(o.body);
    } else {
      o.call->Fail(kept, o.detail);
    }
  }
  for (const auto& [session, why] : std::exchange(closing_, {})) {
    if (hooks_.close_connection) hooks_.close_connection(*session, why);
  }
  auto waits = std::move(sync_waits_);
  sync_waits_.clear();
  scheduled_ = false;
  for (auto& [id, parked] : waits) SyncFor(id, std::move(parked));
  const bool more = turns_.waiting() != 0 || HasBackgroundWork();
  // Not in this tick: its end would not come before the last of them.
  if (!more || next_asked_ || !hooks_.next_tick) return;
  next_asked_ = true;
  hooks_.next_tick();
}

void Executor::NextTick() {
  next_asked_ = false;
  Schedule();  // not at once: what the sockets have brought has its turn, too
}

void Executor::OnTimer() {
  const MonoTime now = clock_.MonoNow();
  for (auto& [id, volume] : volumes_) {
    if (volume->store.db().lost()) continue;
    ExpireKeys(*volume);
    ExpireSessions(*volume);
    volume->fences.OnTimer();
    volume->EndLinger();
    volume->EndLongAppends();
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

}  // namespace kfs::meta

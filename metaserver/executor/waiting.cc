// Calls that wait: for locks, chunkservers, syncs, other mounts' releases.
#include <fmt/format.h>

#include <algorithm>

#include "common/reached.h"
#include "metaserver/executor/executor.h"

namespace kfs::meta {

namespace {

// What the waiting calls of one session may keep: as many as may wait, of the usual size.
constexpr size_t kParkedMax = 65536;
constexpr size_t kParkedBytesMax = 64u << 20;
// What those of all sessions may; beyond it each has the little that honest waiting takes.
constexpr size_t kParkedBytesAllMax = 512u << 20;
constexpr size_t kParkedBytesAlways = 64u << 10;

}  // namespace

Status Executor::MayPark(const OpCall& call) const {
  const Session& session = *call.session;
  if (session.parked.size() >= kParkedMax)
    return Status(EAGAIN, Code::kTryAgain,
                  fmt::format("{} calls of this session wait: no more can", session.parked.size()));
  const size_t with = *session.parked_bytes + Parked::WeightOf(call);
  if (with > kParkedBytesMax) {
    return Status(EAGAIN, Code::kTryAgain,
                  fmt::format("the waiting calls of this session keep {} bytes: no more than {} can", with,
                              kParkedBytesMax));
  }
  if (with > kParkedBytesAlways && *parked_bytes_ + Parked::WeightOf(call) > kParkedBytesAllMax) {
    return Status(
        EAGAIN, Code::kTryAgain,
        fmt::format("the waiting calls of all sessions keep {} bytes, those of this one {}: no more can",
                    *parked_bytes_, *session.parked_bytes));
  }
  return {};
}

ParkedPtr Executor::Park(const CallPtr& call, const char* waits_for) {
  auto parked = std::make_shared<Parked>(
      call, waits_for, Parked::Counts{call->session->parked_bytes, parked_bytes_}, ++parked_ever_);
  call->Parked();
  call->session->parked.insert(parked);
  if (call->op_id != 0) call->session->waiting[call->op_id] = parked;
  return parked;
}

void Executor::Unpark(const ParkedPtr& parked) {
  if (parked->call == nullptr) return;
  Session& session = *parked->call->session;
  parked->Weigh(0);
  session.parked.erase(parked);
  // Of a session that has expired meanwhile another call may stand there.
  const auto waiting = session.waiting.find(parked->call->op_id);
  if (waiting != session.waiting.end() && waiting->second == parked) session.waiting.erase(waiting);
}

void Executor::Rerun(ParkedPtr parked) {
  if (parked->call == nullptr) return;
  const Session& session = *parked->call->session;
  turns_.Add(VolumeOf(session), session.id, Turns::Lane::kFirst, [this, parked] {
    CallPtr call = parked->call;
    if (call == nullptr) return;
    KFS_REACHED("call.run_again");
    Unpark(parked);
    parked->call = nullptr;
    RunCall(call);
  });
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
  parked->decided = true;
  // One unlock may let thousands go.
  const Session& waits = *parked->call->session;
  turns_.Add(VolumeOf(waits), waits.id, Turns::Lane::kFirst, [this, parked, status, lock] {
    if (parked->call == nullptr) return;
    const CallPtr call = parked->call;
    Session& session = *call->session;
    // Granted before the session ended: it has it no more.
    if (session.volume == nullptr || session.expired != 0) {
      Unpark(parked);
      parked->call = nullptr;
      return (void)Alive(call);
    }
    if (status.ok()) KeepReply(*call, /*logged=*/false, "", {}, 0, &lock);
    Finish(parked, status);
  });
  Schedule();
}

void Executor::FinishAfterSync(Volume& volume, ParkedPtr parked) {
  AfterSync(volume.id(), [this, parked = std::move(parked)](const Status& s) { Finish(parked, s); });
}

std::vector<Need> Executor::FlockHolders(const Volume& volume, Ino ino) const {
  std::vector<Need> needs;
  for (SessionId id : volume.locks.FlockHolders(ino)) {
    // Who is not connected has queued nothing that it could send now.
    const SessionPtr session = FindSession(id);
    if (session == nullptr || session->connection() == nullptr || !env_.CanDrain()) continue;
    needs.push_back({.holder = id, .ino = ino, .kind = queued_releases_kind_});
  }
  return needs;
}

void Executor::Ask(const std::vector<Need>& needs, ParkedPtr parked) {
  gate_.Ask(needs, [this, parked = std::move(parked)] { Rerun(parked); });
}

void Executor::QueuedReleases::Ask(const SessionPtr& s, Ino ino, HoldMode, std::function<void()> done) {
  Executor* executor = &executor_;
  // The releases came before the answer, and may still wait for their turn.
  auto drained = executor->lifetime_.While([executor, s, done = std::move(done)] {
    executor->turns_.Add(VolumeOf(*s), s->id, Turns::Lane::kInOrder, done);
    executor->Schedule();
  });
  executor->WhenLogged(VolumeStore::VolumeOf(s->id), [executor, s, ino, drained](const Status& logged) {
    if (logged.ok() && s->connection() != nullptr) return executor->env_.Drain(*s, ino, drained);
    drained();
  });
}

uint64_t Executor::parked_now() const {
  uint64_t n = endings_.parked();
  for (const auto& [id, volume] : volumes_) {
    for (const auto& [sid, s] : volume->sessions) n += s->parked.size();
  }
  return n;
}

}  // namespace kfs::meta

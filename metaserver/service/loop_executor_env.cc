#include "metaserver/service/loop_executor_env.h"

#include <utility>

#include "common/log.h"
#include "metaserver/executor/session_view.h"
#include "metaserver/service/sync_point_exchange.h"

namespace kfs::meta {

void LoopExecutorEnv::Serve(Executor& executor, VolumeHost& volumes, const OwnVolumes& own,
                            DbMemory& memory) {
  executor_ = &executor;
  volumes_ = &volumes;
  own_ = &own;
  memory_ = &memory;
}

void LoopExecutorEnv::ScheduleTick() {
  // Asked for outside a tick (while the metaserver starts) it runs with the first one.
  auto run = lifetime_.While([this] { executor_->EndTick(); });
  if (loop_.InLoopThread()) {
    loop_.AtTickEnd(run);
  } else {
    loop_.Post(run);
  }
}

void LoopExecutorEnv::ScheduleNextTick() {
  loop_.Post(lifetime_.While([this] { executor_->NextTick(); }));
}

void LoopExecutorEnv::Fetch(Db& db, std::vector<std::string> keys, std::function<void()> done) {
  threads_.cold_reads.Do(
      &db,
      [&db, keys = std::move(keys)] {
        db.Warm(keys);
        return Status();
      },
      [done = std::move(done)](const Status&) { done(); });
}

void LoopExecutorEnv::ForgetFetches(Db& db) {
  threads_.cold_reads.Forget(&db);
  threads_.jobs.Forget(&db);
  threads_.scans.Forget(&db);
}

void LoopExecutorEnv::Drain(Session& session, Ino ino, std::function<void()> done) {
  pb::DrainReleasesRequest request;
  request.set_ino(ToSession(session, ino));
  // The last answer: the kernel's queue is the mount's, and what came out of it may have left on any lane.
  const std::shared_ptr<void> all(nullptr, [done = std::move(done)](void*) { done(); });
  for (const auto& [n, lane] : session.lanes) {
    if (lane.connection != nullptr) lane.connection->Call(Op::kDrainReleases, request, {}, [all](Answer) {});
  }
}

void LoopExecutorEnv::CloseConnection(Session& session, uint8_t lane, const Status& why) {
  const ConnectionPtr connection = std::exchange(session.lane(lane).connection, nullptr);
  if (connection == nullptr) return;
  connection->context.reset();
  connection->CloseAfterFlush(why);
}

Status LoopExecutorEnv::WhyNotHere(const std::string& volume) { return own_->WhyNotHere(volume); }

void LoopExecutorEnv::Damaged(VolumeId volume) {
  loop_.Post(lifetime_.While([this, volume] {
    volumes_->CloseDamaged(volume);
    EndIfNothingIsServed(volume);
  }));
}

bool LoopExecutorEnv::SyncedTo(const Volume& volume, pb::SyncPoint* point) {
  *point = PointOf(points_, volume);
  return true;
}

// Whoever watches over the process starts it again, and the log is opened anew: better than a metaserver that
// serves nothing until somebody comes.
void LoopExecutorEnv::EndIfNothingIsServed(VolumeId failed) {
  if (!volumes_->LogFailed(failed) || !executor_->volumes().empty()) return;
  KFS_LOG(
      critical,
      "log_failed volume={} effect=\"the process ends: no other volume is served here\" next=\"make room, "
      "or look at the disk; started again it opens the volume, and mounts go on\"",
      failed.v);
  memory_->env().End("the log of the last volume has failed");
}

}  // namespace kfs::meta

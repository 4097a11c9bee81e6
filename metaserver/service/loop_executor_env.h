// What a metaserver's executor has around it: ticks of the loop, threads that read the disk, connections of
// mounts, and whoever knows which volumes are served.
#pragma once

#include "common/lifetime.h"
#include "metaserver/executor/executor.h"
#include "metaserver/hosting/sync_points.h"
#include "metaserver/hosting/volume_host.h"
#include "metaserver/service/own_volumes.h"
#include "rpc/job_thread.h"

namespace kfs::meta {

class LoopExecutorEnv final : public ExecutorEnv {
 public:
  struct Threads {
    JobThread& cold_reads;  // of what an op did not find in memory
    JobThread& jobs;
    JobThread& scans;  // of volumes' records, for lists and counts
  };
  LoopExecutorEnv(EventLoop& loop, Threads threads, const SyncPoints& points)
      : loop_(loop), threads_(threads), points_(points) {}

  // These are made after the executor, which is made with this. Before the first tick.
  void Serve(Executor& executor, VolumeHost& volumes, const OwnVolumes& own, DbMemory& memory);
  // No tick runs any more.
  void Stop() { lifetime_.End(); }

  void ScheduleTick() override;
  void ScheduleNextTick() override;
  bool CanFetch() const override { return true; }
  void Fetch(Db& db, std::vector<std::string> keys, std::function<void()> done) override;
  void ForgetFetches(Db& db) override;
  bool CanDrain() const override { return true; }
  void Drain(Session& session, Ino ino, std::function<void()> done) override;
  void CloseConnection(Session& session, uint8_t lane, const Status& why) override;
  Status WhyNotHere(const std::string& volume) override;
  void Damaged(VolumeId volume) override;
  bool SyncedTo(const Volume& volume, pb::SyncPoint* point) override;

 private:
  void EndIfNothingIsServed(VolumeId failed);

  EventLoop& loop_;
  const Threads threads_;
  const SyncPoints& points_;
  Executor* executor_ = nullptr;
  VolumeHost* volumes_ = nullptr;
  const OwnVolumes* own_ = nullptr;
  DbMemory* memory_ = nullptr;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

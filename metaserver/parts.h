// What a metaserver consists of, and how that is put together.
#pragma once

#include <memory>

#include "common/lifetime.h"
#include "metaserver/admin/files_service.h"
#include "metaserver/admin/health.h"
#include "metaserver/admin/image_service.h"
#include "metaserver/admin/link_view.h"
#include "metaserver/admin/server_metrics.h"
#include "metaserver/admin/state_metrics.h"
#include "metaserver/admin/status_service.h"
#include "metaserver/chunks/reach_check.h"
#include "metaserver/hosting/disk_watch.h"
#include "metaserver/members/own_twin.h"
#include "metaserver/metaserver.h"
#include "metaserver/service/chunkserver_service.h"
#include "metaserver/service/loop_executor_env.h"
#include "metaserver/service/membership.h"
#include "metaserver/service/session_service.h"
#include "rpc/monitor.h"

namespace kfs::meta {

// In the order in which they are made. What is empty has not been made yet, or has been stopped.
struct MetaParts final : public DiskWatchEnv {
  // ---- what there is: Open
  int64_t started_wall = 0;
  Credentials credentials;
  std::unique_ptr<DbMemory> memory;
  std::unique_ptr<ClusterStore> cluster;
  std::unique_ptr<Chunkservers> chunkservers;
  std::unique_ptr<BrickPhase> bricks;
  std::unique_ptr<WalSync> sync;          // of the volumes
  std::unique_ptr<WalSync> records_sync;  // of the cluster's database: not behind those
  std::unique_ptr<JobThread> cold_reads;  // of what an op did not find in memory
  std::unique_ptr<JobThread> jobs;
  std::unique_ptr<JobThread> scans;  // of volumes' records, for lists and counts
  std::unique_ptr<SyncPoints> points;
  std::unique_ptr<LoopExecutorEnv> executor_env;
  std::unique_ptr<Executor> executor;

  // ---- this metaserver among the others, and what it serves: Join
  std::shared_ptr<SeenPeers> seen;
  std::shared_ptr<ClusterKeyring> keyring;
  std::unique_ptr<Server> server;
  std::unique_ptr<MemberDb> member_db;
  std::unique_ptr<Member> member;
  std::unique_ptr<ImageStore> images;
  std::unique_ptr<ImageReader> image_reader;
  std::unique_ptr<VolumeHost> volumes;
  std::unique_ptr<OwnVolumes> own;
  std::unique_ptr<Mover> mover;
  Alarms alarms;
  std::unique_ptr<LostChunks> lost;
  std::unique_ptr<MissingChunks> missing;
  std::unique_ptr<ReachCheck> reach;
  std::unique_ptr<SyncPointExchange> exchange;
  std::unique_ptr<ChunkserverAdmission> admission;
  std::unique_ptr<KeyService> keys;
  std::unique_ptr<VolumeView> view;
  std::unique_ptr<Membership> membership;
  std::unique_ptr<PeerOps> peers;
  std::unique_ptr<OwnTwin> twin;
  std::unique_ptr<DiskWatch> disk;

  // ---- whom it answers: Serve
  std::unique_ptr<SessionService> sessions;
  std::unique_ptr<Inventory> inventory;
  std::unique_ptr<ChunkserverService> chunkserver_service;
  std::unique_ptr<FilesService> files_service;
  std::unique_ptr<ImageService> image_service;
  std::unique_ptr<LinkView> links;
  std::unique_ptr<StatusService> status;
  std::unique_ptr<ServerMetrics> server_metrics;
  std::unique_ptr<StateMetrics> state_metrics;
  std::unique_ptr<Health> health;
  std::unique_ptr<Monitor> monitor;  // null: none is asked for

  EventLoop::Timer quick_timer, slow_timer;
  bool stopped = false;
  Lifetime lifetime;

  // With what is outside of it.
  struct Outside {
    EventLoop& loop;
    const MetaOptions& options;
    FileOps& files;
    const DbEnv& databases;
  };
  // One after the other. An error: the rest has not been made.
  Status Open(const Outside& outside);
  Status Join(const Outside& outside);
  // Whose thread syncs the records of members, volumes and chunkservers; null: the loop's.
  void SyncRecordsOn(WalSync* thread);

 private:
  void SetFull(bool full) override;
  void SetHasRoom(bool there) override;
};

}  // namespace kfs::meta

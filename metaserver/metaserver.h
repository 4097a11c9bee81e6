// The metaserver: opens the stores, listens, and ties connections to the executor. Everything on one
// EventLoop but the WAL sync thread and the metrics page. Start, Stop and the destructor are for the thread
// that runs the loop (or before it runs).
#pragma once

#include <memory>
#include <string>

#include "common/clock.h"
#include "metaserver/chunks/chunkservers.h"
#include "metaserver/executor/executor.h"
#include "metaserver/metrics.h"
#include "metaserver/options.h"
#include "metaserver/store/cluster_store.h"
#include "metaserver/store/cold_reads.h"
#include "rpc/daemon.h"
#include "rpc/server.h"

namespace kfs::meta {

class MetaServer : public Daemon {
 public:
  MetaServer(EventLoop& loop, const MetaOptions& options);
  ~MetaServer() override;

  Status Start() override;
  void Stop() override;

  std::string address() const { return server_->address(); }
  const std::string& cluster_id() const { return cluster_->cluster_id(); }

 private:
  Status ReadSecret(std::string* secret);
  Status OpenVolume(const rec::Volume& info);
  Status CreateDefaultVolume();

  void RegisterHandlers();
  void OnDisconnect(const ConnectionPtr& connection);
  void DrainReleases(Session& session, Ino ino, std::function<void()> done);

  // admin.cc
  void RegisterAdmin();
  Result<rec::Volume> CreateVolume(const pb::VolumeCreateRequest& request);
  Status DeleteVolume(const pb::VolumeDeleteRequest& request);
  Status FinishDelete(VolumeId id);
  void FillVolume(const rec::Volume& info, pb::VolumeInfo* out);
  void FillStatus(pb::ClusterStatusReply* reply);
  // chunk_service.cc
  void RegisterChunkService();
  void Inventory(ServerId server, const pb::ReportChunksRequest& request, pb::ReportChunksReply* reply);

  void UpdateMetrics();
  void CheckDisk();
  Status CheckDataDir();
  std::string VolumePath(VolumeId id) const;

  EventLoop& loop_;
  const MetaOptions& options_;
  SystemClock clock_;
  int64_t started_wall_ = 0;
  std::unique_ptr<DbMemory> memory_;
  std::unique_ptr<ClusterStore> cluster_;
  std::unique_ptr<Chunkservers> chunkservers_;
  std::unique_ptr<WalSync> sync_;
  std::unique_ptr<ColdReads> cold_reads_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Metrics> metrics_;
  EventLoop::Timer timer_, metrics_timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool stopped_ = false;
  bool disk_full_ = false;
};

// Resident memory of this process, in bytes.
uint64_t ResidentBytes();

}  // namespace kfs::meta

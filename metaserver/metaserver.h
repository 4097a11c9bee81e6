// The metaserver: opens the stores, listens, and ties connections to the executor. Everything on one
// EventLoop but the WAL sync thread, the job threads (cold reads, copies, scans, volumes being opened) and
// the metrics page. Start, Stop and the destructor are for the thread that runs the loop (or before it runs).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/clock.h"
#include "common/file_ops.h"
#include "metaserver/base/alarms.h"
#include "metaserver/chunks/brick_phase.h"
#include "metaserver/chunks/chunkservers.h"
#include "metaserver/chunks/reach_check.h"
#include "metaserver/chunks/twin_check.h"
#include "metaserver/executor/executor.h"
#include "metaserver/hosting/disk_watch.h"
#include "metaserver/hosting/mover.h"
#include "metaserver/hosting/sync_points.h"
#include "metaserver/hosting/volume_host.h"
#include "metaserver/images/image_reader.h"
#include "metaserver/losses/lost_chunks.h"
#include "metaserver/losses/missing_chunks.h"
#include "metaserver/members/cluster_keyring.h"
#include "metaserver/members/peer_ops.h"
#include "metaserver/options.h"
#include "metaserver/store/cluster_store.h"
#include "rpc/daemon.h"
#include "rpc/job_thread.h"
#include "rpc/monitor.h"
#include "rpc/server.h"

namespace kfs::meta {

// What a metaserver has of its machine beside the loop; outlives it. Null: the machine's own.
struct MetaSurroundings {
  FileOps* files = nullptr;  // where the data directory lies, but for databases
  DbEnv databases = {};
};

class MetaServer : public Daemon {
 public:
  MetaServer(EventLoop& loop, const MetaOptions& options, MetaSurroundings surroundings = {});
  ~MetaServer() override;

  Status Start() override;
  void Stop() override;

  std::string address() const { return server_->address(); }
  const std::string& cluster_id() const { return cluster_->cluster_id(); }

 private:
  Status ReadSecret(Credentials* credentials);
  // configuration.cc
  Status BecomeMember(const Credentials& credentials);
  Status Found();
  Status CreateDefaultVolume();
  void Learned(const pb::ClusterConf& before);
  std::string Holds() const;
  Status Where(const std::string& name) const;
  Status Joined(const std::string& cluster_id);
  // The cluster knows it by another address than this.
  bool Elsewhere() const;
  void LookForTwin();
  Status Validate(const pb::Change& change, const pb::ClusterConf& next) const;
  Status MayRemove(const pb::Change::RemoveChunkserver& change) const;

  void RegisterHandlers();
  void AnswerWhenSettled(std::function<void()> answer);
  void EndIfNothingIsServed(VolumeId failed);
  void OnDisconnect(const ConnectionPtr& connection);
  void DrainReleases(Session& session, Ino ino, std::function<void()> done);

  // admin.cc
  void RegisterAdmin();
  void FillVolume(const pb::VolumeConf& conf, pb::VolumeInfo* out);
  void Report(std::function<void(pb::MemberReport)> done);
  void FillStatus(pb::ClusterStatusReply* reply);
  // link_status.cc
  void FillLinks(pb::ClusterStatusReply* reply);
  void ShowLinks(MetricsPage& page);
  // image_service.cc
  void RegisterImages();
  // files_service.cc
  void RegisterFiles();
  void ListFiles(const IncomingCallPtr& call, const pb::ChunkserverFilesRequest& request);
  // key_service.cc
  void RegisterKeys();
  void Join(const IncomingCallPtr& call, const pb::JoinClusterRequest& request);
  // Ends what was opened with keys that are revoked or have expired.
  void EndOfKeys();
  Result<const pb::VolumeConf*> OwnVolume(const std::string& name) const;
  void Backup(const IncomingCallPtr& call, const pb::ImageGetRequest::Open& request);
  void BackupLeft(const IncomingCallPtr& call, const std::string& name);
  void Restore(const IncomingCallPtr& call, const pb::VolumeRestoreRequest& request);
  // chunk_service.cc
  void RegisterChunkService();
  void Register(const IncomingCallPtr& call, const pb::RegisterChunkserverRequest& request);
  void Admitted(const IncomingCallPtr& call, const pb::RegisterChunkserverRequest& request);
  void AskMembers(const std::string& chunkserver, TwinCheck::SeenFn seen, std::function<void()> done);
  void Accept(const IncomingCallPtr& call, const pb::RegisterChunkserverRequest& request);
  void EndAccepted(const Connection* gone);
  template <typename Reply>
  void FillMembers(const Chunkserver* server, uint64_t generation, Reply* reply);
  void Inventory(ServerId server, const pb::ReportChunksRequest& request, pb::ReportChunksReply* reply);
  void NoteUnknown(const Volume& volume, ServerId server, size_t count, uint64_t first);
  void NoteOlderCopy(const pb::RegisterChunkserverRequest& request, const Status& why);
  void ForgetOlderCopies();

  // sync_points_service.cc
  pb::SyncPoint PointOf(const Volume& volume) const;
  // Closes what turns out to be an older copy.
  void HeardPoints(const google::protobuf::RepeatedPtrField<pb::SyncPoint>& points);
  void TellChunkserver(ServerId server, pb::HeartbeatReply* reply);
  void TellMembers();
  // Not OK: nobody who would know an older copy has been heard yet.
  Status Vouched() const;

  // server_metrics.cc
  Status StartMonitor();
  Status Health() const;
  void ShowServer(MetricsPage& page);
  void ShowVolumes(MetricsPage& page);
  // state_metrics.cc
  void ShowCluster(MetricsPage& page);
  void ShowSessions(MetricsPage& page);
  void ShowChunkservers(MetricsPage& page);
  void ShowRoom(MetricsPage& page);
  std::string MySubject() const { return "metaserver " + address(); }

  EventLoop& loop_;
  const MetaOptions& options_;
  FileOps& files_;
  const DbEnv databases_;
  Clock& clock_;
  int64_t started_wall_ = 0;
  std::unique_ptr<DbMemory> memory_;
  std::unique_ptr<ClusterStore> cluster_;
  std::unique_ptr<Chunkservers> chunkservers_;
  std::unique_ptr<BrickPhase> bricks_;
  std::unique_ptr<TwinCheck> twins_;
  std::unique_ptr<ReachCheck> reach_;
  std::unique_ptr<WalSync> sync_;
  std::unique_ptr<JobThread> cold_reads_;  // of what an op did not find in memory
  std::unique_ptr<JobThread> jobs_;
  std::unique_ptr<JobThread> scans_;  // of volumes' records, for lists and counts
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<ImageStore> images_;
  std::unique_ptr<ImageReader> image_reader_;
  std::unique_ptr<SyncPoints> points_;
  std::unique_ptr<PointsTold> points_told_;
  static constexpr auto kVouchedWithin = std::chrono::seconds(3);
  MonoTime vouched_by_{};  // whoever opens a session waits no longer for that
  std::unique_ptr<VolumeHost> volumes_;
  std::unique_ptr<LostChunks> lost_;
  std::unique_ptr<MissingChunks> missing_;
  std::unique_ptr<MemberDb> member_db_;
  std::unique_ptr<Member> member_;
  std::unique_ptr<PeerOps> peers_;
  std::unique_ptr<Mover> mover_;
  std::shared_ptr<SeenPeers> seen_;
  std::shared_ptr<ClusterKeyring> keyring_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Monitor> monitor_;  // null: none is asked for
  EventLoop::Timer timer_, moving_timer_, twin_timer_, op_times_timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  // Chunkservers whose admission is under way, by uuid.
  struct Accepting {
    std::string transaction;
    const Connection* asked_by = nullptr;
  };
  std::map<std::string, Accepting> accepting_;
  // Of ops that answer by themselves, at the end of each of the last periods; the newest last.
  struct OpTimes {
    uint64_t count = 0, micros = 0;
  };
  OpTimes OpTimesNow() const;
  static constexpr size_t kOpPeriods = 6;
  std::deque<OpTimes> op_times_;
  int pages_listed_ = 0;
  bool stopped_ = false;
  Alarms alarms_;
  std::unique_ptr<DiskWatch> disk_;
  std::set<std::string> older_copies_;  // uuids of chunkservers that were refused as such
  // Which chunkservers claim chunks of numbers that the volume's metaserver never gave out, and until when
  // that is believed.
  std::map<VolumeId, std::map<ServerId, MonoTime>> claims_;
};

}  // namespace kfs::meta

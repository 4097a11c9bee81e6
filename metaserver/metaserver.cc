#include "metaserver/metaserver.h"

#include <utility>

#include "common/log.h"
#include "metaserver/admin/configuration_service.h"
#include "metaserver/hosting/settled.h"
#include "metaserver/members/peer_service.h"
#include "metaserver/parts.h"

namespace kfs::meta {
MetaServer::MetaServer(EventLoop& loop, const MetaOptions& options, MetaSurroundings surroundings)
    : loop_(loop),
      options_(options),
      files_(surroundings.files != nullptr ? *surroundings.files : SystemFiles()),
      databases_(std::move(surroundings.databases)),
      parts_(std::make_unique<MetaParts>()) {}

MetaServer::~MetaServer() { Stop(); }

std::string MetaServer::address() const { return parts_->server->address(); }
const std::string& MetaServer::cluster_id() const { return parts_->cluster->cluster_id(); }

Status MetaServer::Start() {
  MetaParts& p = *parts_;
  const MetaParts::Outside outside{loop_, options_, files_, databases_};
  KFS_RETURN_IF_ERROR(p.Open(outside));
  KFS_RETURN_IF_ERROR(p.Join(outside));
  KFS_RETURN_IF_ERROR(Serve(p));
  loop_.Post(p.lifetime.While([this, &p] { StartTimers(p); }));
  KFS_RETURN_IF_ERROR(WriteAddressFile(options_.address_file(), address()));
  KFS_LOG(info, "ready address={} cluster={} member={} generation={} starts={} volumes={}", address(),
          cluster_id(), p.member->uuid(), p.member->conf().generation(), p.cluster->starts(),
          p.executor->volumes().size());
  return {};
}

Status MetaServer::Serve(MetaParts& p) {
  p.sessions = std::make_unique<SessionService>(*p.server, *p.executor, *p.exchange);
  p.inventory = std::make_unique<Inventory>(
      loop_.clock(), *p.scans, *p.executor, *p.chunkservers, *p.missing, *p.points,
      [member = p.member.get()]() -> const pb::ClusterConf& { return member->conf(); }, p.alarms);
  p.chunkserver_service = std::make_unique<ChunkserverService>(*p.chunkservers, *p.admission, *p.inventory,
                                                               *p.missing, *p.exchange, *p.member);
  p.files_service = std::make_unique<FilesService>(*p.scans, *p.member, *p.own, *p.executor);
  p.image_service =
      std::make_unique<ImageService>(*p.member, *p.own, *p.volumes, *p.images, *p.image_reader, *p.mover);
  p.links = std::make_unique<LinkView>(*p.server, *p.member, *p.keyring);
  p.status =
      std::make_unique<StatusService>(loop_,
                                      StatusService::Parts{*p.server, *p.member, *p.executor, *p.volumes,
                                                           *p.chunkservers, p.alarms, *p.view, *p.links},
                                      p.started_wall);

  p.volumes->UseThreads(loop_);
  p.SyncRecordsOn(p.records_sync.get());
  p.sessions->Register();
  p.keys->Register();
  p.chunkserver_service->Register(*p.server);
  p.status->Register();
  p.files_service->Register(*p.server);
  p.image_service->Register(*p.server);
  RegisterPeerOps(*p.server, *p.member, *p.peers);
  RegisterConfigurationOps(
      *p.server, *p.member, *p.peers, *p.chunkservers,
      [this, &p](std::function<void()> answer) { AnswerWhenSettled(loop_, *p.volumes, std::move(answer)); });
  KFS_RETURN_IF_ERROR(p.server->dispatcher()->Complete());
  p.server->OnDisconnect([&p](const ConnectionPtr& connection) {
    p.chunkservers->Disconnected(connection.get());
    p.admission->Disconnected(connection.get());
    p.sessions->Disconnected(connection);
  });
  return StartMonitor(p);
}

Status MetaServer::StartMonitor(MetaParts& p) {
  if (options_.metrics_listen().empty()) return {};
  p.server_metrics = std::make_unique<ServerMetrics>(*p.server, *p.executor, *p.memory);
  p.state_metrics = std::make_unique<StateMetrics>(files_, options_.data_dir(), *p.disk, *p.member,
                                                   *p.chunkservers, *p.executor, *p.lost);
  p.health = std::make_unique<Health>(options_.data_dir(), *p.disk, *p.member, *p.executor);
  p.monitor = std::make_unique<Monitor>(loop_);
  p.server_metrics->Register(p.monitor->metrics());
  p.state_metrics->Register(p.monitor->metrics());
  p.monitor->metrics().Add([&p](MetricsPage& page) { p.links->Show(page); });
  p.monitor->OnHealth([&p] { return p.health->Check(); });
  return p.monitor->Listen(options_.metrics_listen());
}

void MetaServer::StartTimers(MetaParts& p) {
  p.member->Start();
  p.status->Start();
  p.quick_timer = loop_.RunEvery(std::chrono::milliseconds(200), [&p] {
    p.disk->Look();
    p.chunkservers->CheckSilence();
    p.sessions->OnTimer();
    p.executor->OnTimer();
  });
  p.slow_timer = loop_.RunEvery(std::chrono::seconds(1), [&p] {
    p.reach->OnTimer();
    p.keys->EndRevoked();
    p.exchange->TellMembers();
    p.lost->OnTimer();
    p.missing->OnTimer();
    p.admission->OnTimer();
    p.mover->OnTimer();
    p.images->Sweep(p.member->conf(), p.member->uuid());
    p.image_reader->Sweep();
  });
  p.twin->Start();
}

void MetaServer::Stop() {
  MetaParts& p = *parts_;
  if (std::exchange(p.stopped, true) || p.executor == nullptr) return;
  p.quick_timer.Cancel();
  p.slow_timer.Cancel();
  if (p.monitor != nullptr) p.monitor->Stop();
  p.status.reset();
  p.twin.reset();
  p.executor->EndTick();
  p.lifetime.End();
  p.executor_env->Stop();
  if (p.admission != nullptr) p.admission->Stop();
  if (p.keys != nullptr) p.keys->Stop();
  if (p.inventory != nullptr) p.inventory->Stop();
  if (p.image_service != nullptr) p.image_service->Stop();
  if (p.member != nullptr) p.member->Stop();
  if (p.server != nullptr) {
    p.server->OnDisconnect({});
    p.server->Stop();
  }
  p.SyncRecordsOn(nullptr);
  p.reach.reset();
  p.mover.reset();
  if (p.volumes != nullptr) p.volumes->StopThreads();
  p.executor->Stop();
  p.lost.reset();
  p.scans.reset();
  p.jobs.reset();
  p.sync.reset();
  p.records_sync.reset();
  p.cold_reads.reset();
}

}  // namespace kfs::meta

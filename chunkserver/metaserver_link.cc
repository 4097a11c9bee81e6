#include "chunkserver/metaserver_link.h"

#include <algorithm>

#include "chunkserver/disk_status.h"
#include "common/log.h"
#include "proto/op_types.h"

namespace kfs {
namespace {

constexpr auto kAnswerTimeout = std::chrono::seconds(60);

}  // namespace

MetaserverLink::MetaserverLink(EventLoop& loop, ChunkStore* store, IoPool* pool, ChunkService* service,
                               InventoryTurns* turns, Options options, MetaserverLinkEnv& env,
                               SharedByLinks& shared)
    : loop_(loop),
      store_(store),
      service_(service),
      options_(std::move(options)),
      env_(env),
      shared_(shared) {
  NetClient::Options net;
  net.name = "metaserver " + options_.metaserver;
  net.addresses = {options_.metaserver};
  net.role = pb::HelloRequest::CHUNKSERVER;
  net.id = store_->server_uuid();
  net.cluster_id = store_->cluster_id();
  net.credentials = options_.credentials;
  net.may_give_up = false;  // a metaserver may be about to join the cluster, others are there meanwhile
  client_ = std::make_unique<NetClient>(loop_, std::move(net));
  inventory_ = std::make_unique<Inventory>(
      loop_, store_, pool, client_.get(), turns,
      Inventory::Options{.metaserver = options_.metaserver,
                         .tunables = &service_->terms()->in_force(),
                         .trusted = [this] { return generation_ >= shared_.newest_generation(); }});
}

MetaserverLink::~MetaserverLink() {
  lifetime_.End();
  heartbeat_.Cancel();
  inventory_.reset();
  client_->Close();
}

void MetaserverLink::Start() {
  client_->OnConnected([this](const ConnectionPtr& connection, NetClient::ReadyFn ready) {
    Status st;
    const std::string& cluster = client_->server_cluster_id();
    if (!cluster.empty()) st = store_->AdoptCluster(cluster);
    if (!st.ok()) {
      Refused(st);
      return ready(st, false);
    }
    if (!cluster.empty()) env_.OnCluster(cluster);
    Register(connection, std::move(ready));
  });
  client_->Serve(options_.dispatcher);
  client_->OnDisconnected([this](const Status& why) { Disconnected(why); });
  client_->KeepConnected();
}

void MetaserverLink::Register(const ConnectionPtr& connection, NetClient::ReadyFn ready) {
  pb::RegisterChunkserverRequest request;
  request.set_uuid(store_->server_uuid());
  request.set_address(options_.address);
  request.set_instance(options_.instance);
  for (const auto& [name, value] : options_.labels) (*request.mutable_label())[name] = value;
  FillDiskStatus(*store_, false, request.mutable_disk());
  shared_.synced().Fill(request.mutable_synced());
  connection->Call(Op::kRegisterChunkserver, request, {},
                   lifetime_.While([this, ready = std::move(ready),
                                    asked_ms = service_->gate()->NowMs()](kfs::Answer answer) {
                     pb::RegisterChunkserverReply reply;
                     const Status status = ParseAnswer(answer, &reply);
                     if (!status.ok()) {
                       Refused(status);
                       return ready(status, false);
                     }
                     registered_ = true;
                     service_->gate()->LearnClock(reply.clock(), reply.clock_ms(), asked_ms);
                     ready({}, false);
                     Registered(reply);
                   }));
}

void MetaserverLink::Registered(const pb::RegisterChunkserverReply& reply) {
  KFS_LOG(info, "metaserver.registered metaserver={} server_id={} heartbeat_ms={}", options_.metaserver,
          reply.server_id(), reply.heartbeat_ms());
  waits_for_consent_ = false;
  refusal_.clear();
  missing_told_ = 0;  // it may have lost its memory
  env_.OnTaken();
  auto period = std::chrono::milliseconds(std::clamp<uint32_t>(reply.heartbeat_ms(), 100, 60000));
  heartbeat_ = loop_.RunEvery(period, [this] { SendHeartbeat(); });
  TakeMembers(reply);
  inventory_->Begin();
}

void MetaserverLink::Refused(const Status& why) {
  waits_for_consent_ = why.err() == EACCES && why.code() == Code::kNone;
  if (why.code() == Code::kTryAgain || why.code() == Code::kConnectionLost) {
    KFS_LOG(debug, "metaserver.register_later metaserver={} reason=\"{}\"", options_.metaserver,
            why.ToString());
    return;
  }
  if (why.code() == Code::kRunsTwice || why.code() == Code::kOlderCopy)
    return env_.OnMustEnd(options_.metaserver, why);
  // Tried again every second or two: said once.
  if (refusal_ == why.ToString()) return;
  refusal_ = why.ToString();
  KFS_LOG(warn, "metaserver.register_failed metaserver={} reason=\"{}\"", options_.metaserver, refusal_);
}

void MetaserverLink::Disconnected(const Status& why) {
  KFS_LOG(warn, "metaserver.disconnected metaserver={} reason=\"{}\"", options_.metaserver, why.ToString());
  registered_ = false;
  heartbeat_.Cancel();
  inventory_->Stop();
}

Status MetaserverLink::problem() const {
  if (registered_) return {};
  const Status why = client_->last_error();
  return why.ok() ? Status(ETIMEDOUT, "no answer") : why;
}

template <typename Reply>
void MetaserverLink::TakeMembers(const Reply& reply) {
  generation_ = reply.generation();
  if (reply.has_terms()) service_->terms()->Learn(reply.generation(), reply.terms());
  shared_.Learned(options_.metaserver, reply.generation(),
                  {reply.metaserver().begin(), reply.metaserver().end()});
}

void MetaserverLink::SendHeartbeat() {
  if (heartbeat_under_way_) return;
  pb::HeartbeatRequest request;
  FillDiskStatus(*store_, false, request.mutable_disk());
  request.set_rss_bytes(loop_.ResidentBytes());
  request.set_generation(service_->terms()->generation());
  env_.FillLinks(&request);
  missing_told_ = service_->missing().Fill(missing_told_, request.mutable_missing());
  heartbeat_under_way_ = true;
  client_->Enqueue<rpc::Heartbeat>(
      request, lifetime_.While([this, asked_ms = service_->gate()->NowMs()](kfs::Answer answer) {
        heartbeat_under_way_ = false;
        pb::HeartbeatReply reply;
        const Status status = ParseAnswer(answer, &reply);
        if (status.ok()) {
          service_->gate()->LearnClock(reply.clock(), reply.clock_ms(), asked_ms);
          if (reply.inventory()) inventory_->Begin();
          shared_.synced().Learn(reply.synced());
          return TakeMembers(reply);
        }
        if (!registered_) return;
        // It may have forgotten us: register again.
        KFS_LOG(warn, "metaserver.heartbeat_failed metaserver={} reason=\"{}\"", options_.metaserver,
                status.ToString());
        client_->Reconnect(status);
      }),
      kAnswerTimeout);
}

}  // namespace kfs

#include "chunkserver/metaserver_link.h"

#include <algorithm>

#include "common/log.h"

namespace kfs {
namespace {

constexpr auto kAnswerTimeout = std::chrono::seconds(60);
constexpr auto kComplainEvery = std::chrono::seconds(10);

}  // namespace

MetaserverLink::MetaserverLink(EventLoop& loop, ChunkStore* store, IoPool* pool, ChunkService* service,
                               Options options)
    : loop_(loop), store_(store), pool_(pool), service_(service), options_(std::move(options)) {
  NetClient::Options net;
  net.name = "metaserver " + options_.metaserver;
  net.addresses = {options_.metaserver};
  net.role = pb::HelloRequest::CHUNKSERVER;
  net.id = store_->server_uuid();
  net.cluster_id = store_->cluster_id();
  net.secret = options_.secret;
  client_ = std::make_unique<NetClient>(loop_, std::move(net));
}

MetaserverLink::~MetaserverLink() {
  *alive_ = false;
  heartbeat_.Cancel();
  inventory_.Cancel();
  complain_.Cancel();
  client_->Close();
}

void MetaserverLink::Start() {
  client_->OnConnected([this](const ConnectionPtr& connection, NetClient::ReadyFn ready) {
    Status st;
    const std::string& cluster = client_->server_cluster_id();
    if (!cluster.empty()) st = store_->AdoptCluster(cluster);
    if (!st.ok()) {
      KFS_LOG(error, "metaserver.wrong_cluster metaserver={} reason=\"{}\"", options_.metaserver,
              st.ToString());
      return ready(st, st.code() == Code::kWrongCluster);
    }
    if (on_cluster_ && !cluster.empty()) on_cluster_(cluster);
    pb::RegisterChunkserverRequest request;
    request.set_uuid(store_->server_uuid());
    request.set_address(options_.address);
    for (const auto& [name, value] : options_.labels) (*request.mutable_label())[name] = value;
    FillDisks(&request);
    connection->Call(Op::kRegisterChunkserver, request, {},
                     [this, alive = alive_, ready = std::move(ready)](kfs::Answer answer) {
                       if (!*alive) return;
                       pb::RegisterChunkserverReply reply;
                       Status status = ParseAnswer(answer, &reply);
                       if (!status.ok()) {
                         KFS_LOG(warn, "metaserver.register_failed metaserver={} reason=\"{}\"",
                                 options_.metaserver, status.ToString());
                         return ready(status, status.code() == Code::kWrongCluster);
                       }
                       KFS_LOG(info, "metaserver.registered metaserver={} server_id={} heartbeat_ms={}",
                               options_.metaserver, reply.server_id(), reply.heartbeat_ms());
                       registered_ = true;
                       ready({}, false);
                       auto period =
                           std::chrono::milliseconds(std::clamp<uint32_t>(reply.heartbeat_ms(), 100, 60000));
                       heartbeat_ = loop_.RunEvery(period, [this] { SendHeartbeat(); });
                       if (!scanning_) {
                         cursor_ = {};
                         inventory_ = loop_.RunAfter(std::chrono::milliseconds(10), [this] { ScanNext(); });
                       }
                     });
  });
  client_->OnRequest([this](IncomingCallPtr call) { service_->OnMetaserverRequest(std::move(call)); });
  client_->OnDisconnected([this](const Status& why) { Disconnected(why); });
  client_->KeepConnected();
  // Nobody else would say it: without a metaserver there are no requests that fail.
  complain_ = loop_.RunEvery(kComplainEvery, [this] {
    if (registered_) return;
    const Status why = client_->last_error();
    KFS_LOG(warn,
            "metaserver.not_registered metaserver={} reason=\"{}\" next=\"check the options metaservers and "
            "secret-file, and that the metaserver runs; this server is used as soon as it is registered\"",
            options_.metaserver, why.ok() ? "no answer" : why.message());
  });
}

void MetaserverLink::Disconnected(const Status& why) {
  KFS_LOG(warn, "metaserver.disconnected metaserver={} reason=\"{}\"", options_.metaserver, why.ToString());
  registered_ = false;
  heartbeat_.Cancel();
}

template <typename Request>
void MetaserverLink::FillDisks(Request* request) const {
  for (const auto& disk : store_->disks()) {
    auto* status = request->add_disk();
    status->set_path(disk->path());
    const auto space = disk->space();
    status->set_capacity(space.capacity);
    status->set_available(disk->healthy() ? space.available : 0);
    status->set_chunks(static_cast<uint64_t>(std::max<int64_t>(disk->chunks, 0)));
    status->set_error(disk->error());
  }
}

void MetaserverLink::SendHeartbeat() {
  if (heartbeat_under_way_) return;
  pb::HeartbeatRequest request;
  FillDisks(&request);
  request.set_rss_bytes(ResidentBytes());
  heartbeat_under_way_ = true;
  client_->Enqueue<rpc::Heartbeat>(
      request,
      [this, alive = alive_](kfs::Answer answer) {
        if (!*alive) return;
        heartbeat_under_way_ = false;
        if (answer.status.ok() || !registered_) return;
        // It may have forgotten us: register again.
        KFS_LOG(warn, "metaserver.heartbeat_failed metaserver={} reason=\"{}\"", options_.metaserver,
                answer.status.ToString());
        client_->Reconnect(answer.status);
      },
      kAnswerTimeout);
}

// One folder: read on the pool, reported, its garbage deleted; the next one after a pause that keeps to the
// rate.
void MetaserverLink::ScanNext() {
  scanning_ = true;
  auto batch = std::make_shared<Batch>();
  batch->cursor = cursor_;
  bool taken = pool_->Submit(
      {}, [store = store_, batch] { batch->held = store->ScanStep(&batch->cursor); },
      [this, alive = alive_, batch] {
        if (*alive) Report(batch, 0);
      });
  if (!taken) inventory_ = loop_.RunAfter(std::chrono::seconds(1), [this] { ScanNext(); });
}

void MetaserverLink::Report(std::shared_ptr<Batch> batch, size_t from) {
  const auto& chunks = batch->held.chunks;
  if (from < chunks.size()) {
    const size_t to = std::min(chunks.size(), from + kInventoryBatch);
    pb::ReportChunksRequest request;
    request.set_volume(batch->held.volume.v);
    for (size_t i = from; i < to; ++i) {
      auto* held = request.add_held();
      held->set_chunk(chunks[i].first);
      held->set_version(chunks[i].second);
    }
    client_->Enqueue<rpc::ReportChunks>(request, [this, alive = alive_, batch, to](kfs::Answer answer) {
      if (!*alive) return;
      pb::ReportChunksReply reply;
      if (Status st = ParseAnswer(answer, &reply); !st.ok()) {
        KFS_LOG(warn, "inventory.report_failed metaserver={} reason=\"{}\"", options_.metaserver,
                st.ToString());
        reply.Clear();
      }
      DeleteGarbage(batch->held.volume, {reply.garbage().begin(), reply.garbage().end()},
                    [this, alive, batch, to] {
                      if (*alive) Report(batch, to);
                    });
    });
    return;
  }
  cursor_ = batch->cursor;
  if (cursor_.done) {
    KFS_LOG(debug, "inventory.done metaserver={}", options_.metaserver);
    scanning_ = false;
    cursor_ = {};
    inventory_ = loop_.RunAfter(options_.inventory_interval, [this] { ScanNext(); });
    return;
  }
  const auto pause = std::chrono::nanoseconds(std::chrono::seconds(1)) / options_.inventory_rate *
                     static_cast<int64_t>(chunks.size());
  inventory_ = loop_.RunAfter(pause, [this] { ScanNext(); });
}

void MetaserverLink::DeleteGarbage(VolumeId volume, std::vector<uint64_t> garbage,
                                   std::function<void()> then) {
  if (garbage.empty()) return then();
  KFS_LOG(info, "inventory.garbage metaserver={} volume={} chunks={}", options_.metaserver, volume.v,
          garbage.size());
  auto ids = std::make_shared<std::vector<uint64_t>>(std::move(garbage));
  bool taken = pool_->Submit(
      {},
      [store = store_, volume, ids] {
        if (Status st = store->Delete(volume, *ids); !st.ok()) {
          KFS_LOG(warn, "inventory.delete_failed reason=\"{}\"", st.ToString());
        }
      },
      then);
  if (!taken) then();  // the next inventory finds them again
}

}  // namespace kfs

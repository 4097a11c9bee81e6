#include "metaserver/members/peer_links.h"

#include "common/log.h"

namespace kfs::meta {
namespace {

// What is older helps nobody: phases are asked again after a second.
constexpr auto kMessageTimeout = std::chrono::seconds(2);
constexpr size_t kPendingMax = 256;
// Peers say hello every second.
constexpr auto kInboundSilence = std::chrono::seconds(3);

}  // namespace

PeerLinks::PeerLinks(EventLoop& loop, Clock& clock, Credentials credentials, std::shared_ptr<SeenPeers> seen,
                     std::shared_ptr<Dispatcher> dispatcher)
    : loop_(loop),
      clock_(clock),
      credentials_(std::move(credentials)),
      seen_(std::move(seen)),
      dispatcher_(std::move(dispatcher)) {}

PeerLinks::~PeerLinks() { lifetime_.End(); }

void PeerLinks::Configure(const std::string& cluster_id, const std::string& self,
                          const std::map<std::string, std::string>& peers) {
  if (cluster_id != cluster_id_ || self != self_) links_.clear();
  cluster_id_ = cluster_id;
  self_ = self;
  std::erase_if(links_, [&](const auto& l) {
    auto it = peers.find(l.first);
    return it == peers.end() || it->second != l.second.address;
  });
  for (const auto& [uuid, address] : peers) {
    if (!links_.contains(uuid))
      links_[uuid] = {address, Dial(uuid, address, self, cluster_id), clock_.WallNow(), {}};
  }
  if (credentials_.older() == nullptr) return;
  // Made before the peer went over: whoever is at its other end has shown the older secret only.
  for (const auto& [uuid, link] : links_) {
    if (link.client->connected() && link.client->shown_key_id() == credentials_.older()->key_id() &&
        !MayBeOlder(uuid))
      link.client->Reconnect(
          Status(EACCES, Code::kConnectionLost, "it has gone over to the new root secret"));
  }
}

bool PeerLinks::MayBeOlder(const std::string& uuid) const {
  return seen_ != nullptr &&
         seen_->Of(pb::HelloRequest::METASERVER, uuid).generation < credentials_.generation();
}

std::unique_ptr<NetClient> PeerLinks::Dial(const std::string& uuid, const std::string& address,
                                           const std::string& self, const std::string& cluster_id) {
  NetClient::Options net;
  net.name = "metaserver " + address;
  net.addresses = {address};
  net.role = pb::HelloRequest::METASERVER;
  net.id = self;
  net.cluster_id = cluster_id;
  net.credentials = credentials_;
  net.connect_timeout = std::chrono::seconds(2);
  net.backoff_max = std::chrono::seconds(1);
  net.silence = std::chrono::seconds(2);
  net.pending_max = kPendingMax;
  net.may_give_up = false;  // one that is being taken in, mended or upgraded is refused until then
  net.may_be_older = [this, ours = lifetime_.watch(), uuid] { return !ours.ended() && MayBeOlder(uuid); };
  auto client = std::make_unique<NetClient>(loop_, std::move(net));
  auto changed = lifetime_.While([this, uuid] {
    if (auto it = links_.find(uuid); it != links_.end()) it->second.since = clock_.WallNow();
  });
  client->OnConnected([this, ours = lifetime_.watch(), changed, uuid, address, link = client.get()](
                          const ConnectionPtr&, NetClient::ReadyFn ready) {
    KFS_LOG(info, "peer.connected address={}", address);
    if (!ours.ended() && seen_ != nullptr && link->shown_key_id() == credentials_.key_id())
      seen_->Remember(pb::HelloRequest::METASERVER, uuid,
                      {.tls = false, .generation = credentials_.generation()});
    changed();
    ready({}, false);
  });
  client->Serve(dispatcher_);
  client->OnDisconnected([changed, address](const Status& why) {
    KFS_LOG(warn, "peer.disconnected address={} reason=\"{}\"", address, why.ToString());
    changed();
  });
  client->KeepConnected();
  return client;
}

void PeerLinks::CameBy(const std::string& uuid, const ConnectionPtr& connection) {
  last_from_ = uuid;
  last_ = {connection, clock_.MonoNow()};
  if (auto it = links_.find(uuid); it != links_.end()) it->second.inbound = last_;
}

ConnectionPtr PeerLinks::Alive(const Inbound& inbound) const {
  ConnectionPtr connection = inbound.connection.lock();
  const bool alive =
      connection != nullptr && !connection->closed() && clock_.MonoNow() - inbound.heard < kInboundSilence;
  return alive ? connection : nullptr;
}

void PeerLinks::Send(const std::string& uuid, const pb::PeerMessage& message) {
  auto it = links_.find(uuid);
  pb::PeerSendRequest request;
  *request.mutable_message() = message;
  if (it != links_.end() && it->second.client->connected()) {
    it->second.client->Enqueue({.op = Op::kPeerSend,
                                .request = &request,
                                .payload = {},
                                .timeout = kMessageTimeout,
                                .resend = false,
                                .done = [](Answer) {}});
    return;
  }
  ConnectionPtr connection;
  if (it != links_.end()) connection = Alive(it->second.inbound);
  if (it == links_.end() && last_from_ == uuid) connection = Alive(last_);
  if (connection != nullptr && connection->calls_pending() < kPendingMax)
    connection->Call(Op::kPeerSend, request, {}, [](Answer) {});
}

bool PeerLinks::Connected(const std::string& uuid) const {
  auto it = links_.find(uuid);
  return it != links_.end() && (it->second.client->connected() || Alive(it->second.inbound) != nullptr);
}

PeerLinks::View PeerLinks::Of(const std::string& uuid) const {
  auto it = links_.find(uuid);
  if (it == links_.end()) return {};
  View view{.connected = Connected(uuid), .since = it->second.since, .reason = {}};
  if (!it->second.client->connected()) {
    const Status why = it->second.client->last_error();
    view.reason = why.ok() ? "no connection yet" : why.message();
    if (why.code() == Code::kWrongCluster) view.reason += "; has it lost its disk? See: kfs peer why";
    if (view.connected) view.reason = "it reaches this metaserver, but is not reached: " + view.reason;
  }
  return view;
}

}  // namespace kfs::meta

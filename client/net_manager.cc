#include "client/net_manager.h"

#include "common/log.h"
#include "common/uuid.h"

namespace kfs {
NetManager::NetManager(EventLoop* loop, Options options) : options_(std::move(options)), loop_(loop) {
  if (loop_ == nullptr) {
    thread_ = std::make_unique<LoopThread>("kfs-worker");
    loop_ = &thread_->loop();
  }
  id_ = NewUuid(loop_->entropy());
}

NetManager::~NetManager() = default;

NetClient::Options NetManager::ClientOptions(std::string name, std::vector<std::string> addresses) const {
  NetClient::Options o;
  o.name = std::move(name);
  o.addresses = std::move(addresses);
  o.role = pb::HelloRequest::CLIENT;
  o.id = id_;
  o.cluster_id = options_.cluster_id;
  o.credentials = options_.credentials;
  o.pending_max = options_.pending_max;
  return o;
}

void NetManager::Start() {
  metaserver_ = std::make_shared<NetClient>(*loop_, ClientOptions("metaserver", options_.metaservers));
  sweep_ = loop_->RunEvery(std::chrono::milliseconds(500), [this] { Sweep(); });
}

std::shared_ptr<NetClient> NetManager::Chunkserver(const std::string& address) {
  if (stopped_) return nullptr;
  auto [it, inserted] = chunkservers_.try_emplace(address);
  if (inserted) {
    NetClient::Options o = ClientOptions("chunkserver", {address});
    o.server_role = pb::HelloRequest::CHUNKSERVER;
    o.hard_close = true;
    // One that does not know the key any more may have got another: the next layout has what fits it.
    o.may_give_up = false;
    if (auto key = link_keys_.find(address); key != link_keys_.end()) o.credentials = key->second;
    it->second.net = std::make_shared<NetClient>(*loop_, std::move(o));
  }
  return it->second.net;
}

void NetManager::LearnLinkKeys(const pb::LayoutReply& layout) {
  for (const pb::ChunkLayout& chunk : layout.chunk()) {
    for (const pb::Server& server : chunk.server()) {
      if (server.link_key_id().empty() || server.address().empty()) continue;
      Credentials& known = link_keys_[server.address()];
      if (known.key_id() == server.link_key_id() && known.key() == server.link_key()) continue;
      known = Credentials::OfKey(server.link_key_id(), server.link_key(), options_.cluster_id, "")
                  .With(options_.credentials.policy());
      if (auto link = chunkservers_.find(server.address()); link != chunkservers_.end())
        link->second.net->SetCredentials(known);
    }
  }
}

void NetManager::Sweep() {
  const MonoTime now = loop_->Now();
  std::vector<std::shared_ptr<NetClient>> given_up;
  for (auto it = chunkservers_.begin(); it != chunkservers_.end();) {
    Link& link = it->second;
    const bool pending = link.net->pending() != 0;
    const bool down = pending && !link.net->connected();
    if (!down) link.down_since.reset();
    if (down && !link.down_since) link.down_since = now;
    if (pending) link.idle_since.reset();
    if (!pending && !link.idle_since) link.idle_since = now;
    const bool unreachable = down && now - *link.down_since >= kUnreachableMax;
    const bool idle = !pending && now - *link.idle_since >= kIdleMax;
    if (unreachable) {
      KFS_LOG(warn, "net.chunkserver_unreachable address={} pending={} reason=\"{}\"", it->first,
              link.net->pending(), link.net->last_error().ToString());
    }
    if (unreachable || idle) {
      given_up.push_back(std::move(link.net));
      it = chunkservers_.erase(it);
    } else {
      ++it;
    }
  }
  // Their completions may ask for links again, so the map is left alone by now.
  for (auto& net : given_up) net->Close();
}

void NetManager::Stop() {
  stopped_ = true;
  sweep_.Cancel();
  auto links = std::move(chunkservers_);
  chunkservers_.clear();
  for (auto& [address, link] : links) link.net->Close();
  if (auto meta = std::move(metaserver_)) meta->Close();
}

}  // namespace kfs

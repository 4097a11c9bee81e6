// The worker's connections: one NetClient to the metaserver, one to each chunkserver, made when first asked
// for. Runs on the worker's EventLoop, which is either a thread of its own or one that the caller shares with
// it.
//
// A chunkserver that cannot be reached for kUnreachableMax is given up: its calls end with kConnectionLost,
// so that those who wait look for the chunk's place again (it may have moved) instead of waiting at an old
// address. Links idle for kIdleMax are closed. Worker's thread only, but for the constructor.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "proto/data.pb.h"
#include "rpc/net_client.h"

namespace kfs {

class NetManager {
 public:
  static constexpr Duration kUnreachableMax = std::chrono::seconds(2);
  static constexpr Duration kIdleMax = std::chrono::seconds(60);

  struct Options {
    std::vector<std::string> metaservers;
    std::string cluster_id;
    Credentials credentials;
    size_t pending_max = 65536;
  };

  // Null `loop`: a thread of its own.
  NetManager(EventLoop* loop, Options options);
  ~NetManager();

  EventLoop& loop() { return *loop_; }
  bool owns_thread() const { return thread_ != nullptr; }
  // The thread must be joined elsewhere when the manager is destroyed on it.
  std::unique_ptr<LoopThread> TakeThread() { return std::move(thread_); }

  void Start();
  // Null after Stop.
  const std::shared_ptr<NetClient>& metaserver() const { return metaserver_; }
  std::shared_ptr<NetClient> Chunkserver(const std::string& address);
  // With what the links to the chunkservers of this layout are opened, where the metaserver says so.
  void LearnLinkKeys(const pb::LayoutReply& layout);
  size_t chunkservers() const { return chunkservers_.size(); }
  // Ends everything pending.
  void Stop();

 private:
  struct Link {
    std::shared_ptr<NetClient> net;
    std::optional<MonoTime> down_since;  // pending calls and no connection
    std::optional<MonoTime> idle_since;
  };
  NetClient::Options ClientOptions(std::string name, std::vector<std::string> addresses) const;
  void Sweep();

  const Options options_;
  std::unique_ptr<LoopThread> thread_;
  EventLoop* loop_;
  std::string id_;  // constant after construction
  bool stopped_ = false;
  std::shared_ptr<NetClient> metaserver_;
  std::unordered_map<std::string, Link> chunkservers_;  // by address
  std::unordered_map<std::string, Credentials>
      link_keys_;  // by address; empty: links are opened with our own key
  EventLoop::Timer sweep_;
};

}  // namespace kfs

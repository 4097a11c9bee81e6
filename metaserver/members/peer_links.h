// The lasting connections to the other members. Messages that cannot leave at once are dropped: the state
// machines ask again. Loop's thread only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/clock.h"
#include "proto/cluster.pb.h"
#include "rpc/net_client.h"

namespace kfs::meta {

class PeerLinks {
 public:
  PeerLinks(EventLoop& loop, Clock& clock, std::string secret);
  ~PeerLinks();

  // One link to each of them; nothing changes for those that are there already. `peers`: addresses by uuid,
  // without ourselves.
  void Configure(const std::string& cluster_id, const std::string& self,
                 const std::map<std::string, std::string>& peers);
  void Send(const std::string& uuid, const pb::PeerMessage& message);
  bool Connected(const std::string& uuid) const;

  struct View {
    bool connected = false;
    int64_t since = 0;   // wall clock, ns: when it became so
    std::string reason;  // why it is not
  };
  View Of(const std::string& uuid) const;

 private:
  struct Link {
    std::string address;
    std::unique_ptr<NetClient> client;
    int64_t since = 0;
  };
  std::unique_ptr<NetClient> Dial(const std::string& uuid, const std::string& address,
                                  const std::string& self, const std::string& cluster_id);

  EventLoop& loop_;
  Clock& clock_;
  const std::string secret_;
  std::string cluster_id_, self_;
  std::map<std::string, Link> links_;  // by uuid
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kfs::meta

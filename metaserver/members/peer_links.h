// The lasting connections to the other members. Messages that cannot leave at once are dropped: the state
// machines ask again. A peer that cannot be reached (it has another address by now, something keeps
// connections to it away) but reaches us is spoken to over the connection that it has made. Loop's thread
// only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/lifetime.h"
#include "proto/cluster.pb.h"
#include "rpc/net_client.h"
#include "rpc/seen_peers.h"

namespace kfs::meta {

class PeerLinks {
 public:
  // `seen`: who has gone over to the newer root secret, where `credentials` have two: only to the others is
  // the older one shown. Null: to nobody. `dispatcher`: serves what comes by the connections that we make.
  PeerLinks(EventLoop& loop, Clock& clock, Credentials credentials, std::shared_ptr<SeenPeers> seen,
            std::shared_ptr<Dispatcher> dispatcher);
  ~PeerLinks();

  // One link to each of them; nothing changes for those that are there already. `peers`: addresses by uuid,
  // without ourselves.
  void Configure(const std::string& cluster_id, const std::string& self,
                 const std::map<std::string, std::string>& peers);
  // What that peer says comes by this connection, which it has made.
  void CameBy(const std::string& uuid, const ConnectionPtr& connection);
  // To one that is not configured: by the connection that the last message came by, if it was from there.
  void Send(const std::string& uuid, const pb::PeerMessage& message);
  bool Connected(const std::string& uuid) const;

  struct View {
    bool connected = false;
    int64_t since = 0;   // wall clock, ns: when it became so
    std::string reason;  // why it is not, or only by its own connection
  };
  View Of(const std::string& uuid) const;

 private:
  struct Inbound {
    std::weak_ptr<Connection> connection;
    MonoTime heard{};
  };
  struct Link {
    std::string address;
    std::unique_ptr<NetClient> client;
    int64_t since = 0;
    Inbound inbound;
  };
  // Null: there is none that has been heard of lately.
  ConnectionPtr Alive(const Inbound& inbound) const;
  bool MayBeOlder(const std::string& uuid) const;
  std::unique_ptr<NetClient> Dial(const std::string& uuid, const std::string& address,
                                  const std::string& self, const std::string& cluster_id);

  EventLoop& loop_;
  Clock& clock_;
  const Credentials credentials_;
  const std::shared_ptr<SeenPeers> seen_;
  const std::shared_ptr<Dispatcher> dispatcher_;
  std::string cluster_id_, self_;
  std::map<std::string, Link> links_;  // by uuid
  std::string last_from_;
  Inbound last_;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

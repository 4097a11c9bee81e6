// The ops of mounts: those of the op table, which the executor runs, and those on the session itself. A
// connection has at most one session (Connection::context). Loop's thread only.
#pragma once

#include "metaserver/executor/executor.h"
#include "metaserver/hosting/volume_host.h"
#include "metaserver/service/sync_point_exchange.h"
#include "rpc/server.h"

namespace kfs::meta {

class SessionService {
 public:
  // All of it outlives the server's connections.
  SessionService(Server& server, Executor& executor, SyncPointExchange& points)
      : server_(server), executor_(executor), points_(points) {}

  void Register();
  void Disconnected(const ConnectionPtr& connection);
  // A few times a second: whoever sends anything is alive, also while its ops wait.
  void OnTimer();

 private:
  void Open(const IncomingCallPtr& incoming, const pb::OpenSessionRequest& request);

  Server& server_;
  Executor& executor_;
  SyncPointExchange& points_;
};

}  // namespace kfs::meta

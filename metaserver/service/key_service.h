// Keys: what a key's file holds, joining with an invitation, and the end of what was opened with a key that
// is revoked or has expired. Loop's thread only.
#pragma once

#include "common/lifetime.h"
#include "metaserver/executor/executor.h"
#include "metaserver/members/cluster_keyring.h"
#include "metaserver/members/member.h"
#include "rpc/server.h"

namespace kfs::meta {

class KeyService {
 public:
  // All of it outlives the server's connections.
  KeyService(EventLoop& loop, Server& server, Member& member, const ClusterKeyring& keyring,
             Executor& executor)
      : loop_(loop), server_(server), member_(member), keyring_(keyring), executor_(executor) {}

  void Register();
  // Sessions, at once: whoever has revoked a key is answered when nothing is opened by it here any more.
  void EndSessions();
  // And connections. Every second or so.
  void EndRevoked();
  // What is under way ends unanswered.
  void Stop() { lifetime_.End(); }

 private:
  void Join(const IncomingCallPtr& call, const pb::JoinClusterRequest& request);

  EventLoop& loop_;
  Server& server_;
  Member& member_;
  const ClusterKeyring& keyring_;
  Executor& executor_;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

// How others are linked to this metaserver, and by which secret: what a cluster that goes over to TLS, or to
// a new root secret, is looked at for (kfs health, docs/security.md). Reads only; loop's thread.
#pragma once

#include "metaserver/members/cluster_keyring.h"
#include "metaserver/members/member.h"
#include "rpc/metrics.h"
#include "rpc/server.h"

namespace kfs::meta {

class LinkView {
 public:
  LinkView(const Server& server, const Member& member, const ClusterKeyring& keyring)
      : server_(server), member_(member), keyring_(keyring) {}

  void Fill(pb::ClusterStatusReply* reply) const;
  void Show(MetricsPage& page) const;

 private:
  const Server& server_;
  const Member& member_;
  const ClusterKeyring& keyring_;
};

}  // namespace kfs::meta

// A metaserver whose data directory was copied runs twice: at another address than the cluster knows it by,
// it may be the copy, and would serve its twin's volumes, too. It asks there, and ends its process when
// somebody with its uuid answers. Whoever is where it should be has nothing to ask. Loop's thread.
#pragma once

#include <string>

#include "common/lifetime.h"
#include "metaserver/members/member.h"
#include "metaserver/members/peer_ops.h"

namespace kfs::meta {

class OwnTwin {
 public:
  // `advertised`: what others reach this one by.
  OwnTwin(EventLoop& loop, const Member& member, const PeerOps& peers, std::string advertised)
      : loop_(loop), member_(member), peers_(peers), advertised_(std::move(advertised)) {}

  // Now, and every few seconds.
  void Start();
  void Stop() { lifetime_.End(); }
  // The cluster knows it by another address than this.
  bool IsKnownElsewhere() const;

 private:
  void Look();

  EventLoop& loop_;
  const Member& member_;
  const PeerOps& peers_;
  const std::string advertised_;
  EventLoop::Timer timer_;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

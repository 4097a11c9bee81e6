// What stands on every message that a member sends by itself: who it is, and which configuration it has.
#pragma once

#include "metaserver/cluster/acceptor.h"

namespace kfs::meta {

inline pb::PeerMessage Envelope(const Acceptor& acceptor) {
  pb::PeerMessage m;
  m.set_from(acceptor.uuid());
  m.set_incarnation(acceptor.incarnation());
  m.set_cluster_id(acceptor.conf().cluster_id());
  m.set_generation(acceptor.generation());
  m.set_checksum(acceptor.checksum());
  return m;
}

}  // namespace kfs::meta

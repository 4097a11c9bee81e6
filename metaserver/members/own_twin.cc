#include "metaserver/members/own_twin.h"

#include <cstdlib>

#include "common/log.h"
#include "metaserver/members/peer_ask.h"
#include "rpc/daemon.h"

namespace kfs::meta {

void OwnTwin::Start() {
  Look();
  timer_ = loop_.RunEvery(std::chrono::seconds(5), [this] { Look(); });
}

bool OwnTwin::IsKnownElsewhere() const {
  const std::string known = member_.address();
  return !known.empty() && known != advertised_;
}

void OwnTwin::Look() {
  const std::string known = member_.address();
  if (member_.conf().member_size() < 2 || !IsKnownElsewhere()) return;
  AskPeer(
      loop_, known, member_.uuid(), member_.credentials(),
      lifetime_.While([this, known](const PeerAnswer& there) {
        if (!there.status.ok() || there.reply.uuid() != member_.uuid() ||
            there.reply.instance() == peers_.instance())
          return;
        KFS_LOG(
            critical,
            "cluster.runs_twice uuid={} address={} known={} next=\"a metaserver with this uuid answers at "
            "{}: this data "
            "directory is a copy of its, or the other way round. Stop one for good: a copy must never run\"",
            member_.uuid(), advertised_, known, known);
        spdlog::shutdown();
        std::_Exit(kExitRunsTwice);
      }));
}

}  // namespace kfs::meta

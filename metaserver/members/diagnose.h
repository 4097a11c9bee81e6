// What is wrong with a peer, from what it answered. Pure.
#pragma once

#include "metaserver/members/peer_ask.h"
#include "proto/admin.pb.h"

namespace kfs::meta {

// `conf` and `checksum`: ours; `now`: our wall clock.
void Diagnose(const pb::ClusterConf& conf, const std::string& checksum, const pb::MemberConf& member,
              const PeerAnswer& there, int64_t now, pb::PeerWhyReply* reply);

}  // namespace kfs::meta

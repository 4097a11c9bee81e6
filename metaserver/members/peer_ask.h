// Asks a metaserver that may not be a member who it is. Loop's thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proto/cluster.pb.h"
#include "rpc/net_client.h"

namespace kfs::meta {

struct PeerAnswer {
  Status status;  // not ok: in words for a person, with the address
  pb::PeerAskReply reply;
  Duration took{};
  std::shared_ptr<NetClient> link;  // for more to be asked; closes when it is let go
};

// `done` comes once, within `patience`; zero: some seconds. Where nothing listens, or which is no name of a
// machine, is not asked for longer than kNobodyGrace: a daemon that is just being started again has that
// time.
constexpr auto kNobodyGrace = std::chrono::milliseconds(500);
void AskPeer(EventLoop& loop, const std::string& address, const std::string& self,
             const Credentials& credentials, std::function<void(PeerAnswer)> done,
             const pb::PeerAskRequest& request = {}, Duration patience = {});

}  // namespace kfs::meta

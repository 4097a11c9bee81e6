// Peers: taking one in, telling what is wrong with one, mending one; and the other side of it. Loop's thread
// only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "metaserver/members/member.h"
#include "metaserver/members/peer_ask.h"

namespace kfs::meta {

class PeerOps {
 public:
  struct Hooks {
    // Why this metaserver cannot leave its cluster for another: it holds data. Empty: it can.
    std::function<std::string()> holds;
    // It has joined another cluster.
    std::function<Status(const std::string& cluster_id)> joined;
  };
  PeerOps(EventLoop& loop, Clock& clock, Member& member, Hooks hooks);
  ~PeerOps() { *alive_ = false; }

  // `done` comes once, in a bounded time.
  void Probe(const pb::PeerProbeRequest& request, Member::ChangeDone done);
  void Repair(const pb::PeerRepairRequest& request, Member::ChangeDone done);
  void Why(const std::string& peer, std::function<void(const Status&, const pb::PeerWhyReply&)> done);

  // Asked by another metaserver.
  void Tell(pb::PeerAskReply* reply);
  Status Adopt(const pb::PeerAdoptRequest& request);

 private:
  std::string WhyNotAlone() const;
  void AdoptThere(const std::shared_ptr<NetClient>& link, const std::string& uuid, uint64_t incarnation,
                  const pb::ConfChangeReply& reply, Member::ChangeDone done);
  void Readmit(const pb::CommandContext& ctx, const pb::MemberConf& member, const PeerAnswer& there,
               Member::ChangeDone done);

  EventLoop& loop_;
  Clock& clock_;
  Member& member_;
  Hooks hooks_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kfs::meta

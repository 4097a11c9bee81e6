// Peers: taking one in, telling what is wrong with one, mending one; and the other side of it. Loop's thread
// only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/lifetime.h"
#include "common/uuid.h"
#include "metaserver/chunks/chunkservers.h"
#include "metaserver/members/member.h"
#include "metaserver/members/peer_ask.h"

namespace kfs::meta {

class PeerOps {
 public:
  PeerOps(EventLoop& loop, Clock& clock, Member& member, MemberEnv& env);
  ~PeerOps() { lifetime_.End(); }

  // `done` comes once, in a bounded time.
  void Probe(const pb::PeerProbeRequest& request, Member::ChangeDone done);
  void Repair(const pb::PeerRepairRequest& request, Member::ChangeDone done);
  // The others must find it there: who has only a wrong address of it cannot be told a better one by it.
  void SetAddress(const pb::ConfChangeRequest& request, Member::ChangeDone done);
  // Within two seconds.
  void Why(const std::string& peer, std::function<void(const Status&, const pb::PeerWhyReply&)> done);

  // Asked by another metaserver.
  void Reply(const pb::PeerAskRequest& request, const std::string& asker,
             std::function<void(const pb::PeerAskReply&)> done);
  void Adopt(const pb::PeerAdoptRequest& request, std::function<void(const Status&)> done);
  const std::string& instance() const { return instance_; }

 private:
  void AddWayBack(const std::string& why, pb::PeerWhyReply* reply) const;
  void AddLastHeard(const std::string& uuid, pb::PeerWhyReply* reply) const;
  // OK: it is to go over; `already`: it has, or has learnt something newer.
  Status MayAdopt(const pb::PeerAdoptRequest& request, bool* already) const;
  std::string WhyNotAlone() const;
  void FillAnswer(const pb::PeerAskRequest& request, pb::PeerAskReply* reply);
  std::string ReservedForAnother(const std::string& cluster_id) const;
  void AdoptThere(const std::shared_ptr<NetClient>& link, const std::string& uuid, uint64_t incarnation,
                  const pb::ConfChangeReply& reply, Member::ChangeDone done);
  void Readmit(const pb::CommandContext& ctx, const pb::MemberConf& member, const PeerAnswer& there,
               Member::ChangeDone done);

  EventLoop& loop_;
  Clock& clock_;
  Member& member_;
  MemberEnv& env_;
  const std::string instance_;
  std::string reserved_for_;  // a cluster's id
  MonoTime reserved_until_{};
  Lifetime lifetime_;
};

}  // namespace kfs::meta

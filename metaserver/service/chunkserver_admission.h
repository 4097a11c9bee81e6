// Which chunkservers belong to the cluster: who registers is let in when it is nobody's twin, is no older
// copy of its disks, and is in the configuration or may come into it; and which may be removed. Loop's thread
// only.
#pragma once

#include <map>
#include <set>
#include <string>

#include "common/lifetime.h"
#include "metaserver/base/alarms.h"
#include "metaserver/chunks/brick_phase.h"
#include "metaserver/chunks/chunkservers.h"
#include "metaserver/chunks/twin_check.h"
#include "metaserver/members/member.h"
#include "metaserver/service/sync_point_exchange.h"
#include "rpc/server.h"

namespace kfs::meta {

// What a chunkserver is told of the metaservers, and with terms newer than `generation` of its own.
template <typename Reply>
void FillMembers(const pb::ClusterConf& conf, const Chunkserver* server, uint64_t generation, Reply* reply) {
  reply->set_generation(conf.generation());
  for (const pb::MemberConf& m : conf.member()) reply->add_metaserver(m.address());
  if (server != nullptr && generation < conf.generation())
    *reply->mutable_terms() = TermsOf(conf, server->uuid);
}

class ChunkserverAdmission {
 public:
  ChunkserverAdmission(EventLoop& loop, Clock& clock, Chunkservers& chunkservers, Member& member,
                       SyncPointExchange& points, Alarms& alarms);

  // A chunkserver that registers; answered when it is known whether it may.
  void Register(const IncomingCallPtr& call, const pb::RegisterChunkserverRequest& request);
  void ConfigurationChanged();
  void Disconnected(const Connection* connection);
  // Now and then: alarms of those that do not belong to the cluster any more end.
  void OnTimer();

  // What is under way ends unanswered.
  void Stop() { lifetime_.End(); }
  // EBUSY, in words, when something that it holds would be lost: its number is never given out again.
  Status MayRemove(const pb::Change::RemoveChunkserver& change) const;

 private:
  static constexpr auto kAsksAgain = std::chrono::seconds(30);
  struct Accepting {
    std::string transaction;
    const Connection* asked_by = nullptr;
  };
  void LetIn(const IncomingCallPtr& call, const pb::RegisterChunkserverRequest& request,
             const Result<ServerId>& id);
  void Accept(const IncomingCallPtr& call, const pb::RegisterChunkserverRequest& request);
  void GiveUp(const std::string& transaction);
  // Where the other members know the chunkserver: we may have lost our memory.
  void AskMembers(const std::string& chunkserver, TwinCheck::SeenFn seen, std::function<void()> done);
  void NoteOlderCopy(const pb::RegisterChunkserverRequest& request, const Status& why);

  EventLoop& loop_;
  Clock& clock_;
  Chunkservers& chunkservers_;
  Member& member_;
  SyncPointExchange& points_;
  Alarms& alarms_;
  std::map<std::string, Accepting> accepting_;  // admissions under way, by the chunkserver's uuid
  std::set<std::string> older_copies_;          // uuids of those that were refused as such
  TwinCheck twins_;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

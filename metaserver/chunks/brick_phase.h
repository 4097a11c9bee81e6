// The brick phase of one member: what it asks of its chunkservers. In a read how their disks are; in a change
// whether each could go by what is proposed. Once that is decided they are told. Loop's thread.
//
//   Prepare -> PrepareConf to those that are concerned -> all said yes, or who said no -> (commit, unlock)
//   Decided -> LearnConf to all; whoever is away learns it when it registers, or with a heartbeat
//
// A chunkserver is asked by every member: what it answers depends on (generation, ballot) only.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "common/lifetime.h"
#include "metaserver/chunks/chunkservers.h"
#include "proto/admin.pb.h"
#include "rpc/event_loop.h"

namespace kfs::meta {

// What `conf` asks of a chunkserver.
pb::ChunkserverTerms TermsOf(const pb::ClusterConf& conf, const std::string& uuid);

class BrickPhase {
 public:
  // An answer that has not come by then does not count.
  static constexpr auto kTimeout = std::chrono::milliseconds(900);

  // All outlive it.
  BrickPhase(EventLoop& loop, Clock& clock, Chunkservers& chunkservers)
      : loop_(loop), clock_(clock), chunkservers_(chunkservers) {}
  ~BrickPhase() { lifetime_.End(); }

  // Adds what the chunkservers say of their disks.
  void Report(pb::MemberReport report, std::function<void(pb::MemberReport)> done);
  // Those that are down learn it later, and cannot object. One that is to leave has to say that it holds
  // nothing. EBUSY, EINVAL: who objects, and why.
  void Prepare(const pb::ClusterConf& now, const pb::ClusterConf& next, const pb::Ballot& ballot,
               std::function<void(Status)> done);
  // REQUIRES: called before `chunkservers` lets go of those that have left.
  void Decided(const pb::ClusterConf& conf);

 private:
  template <typename Rpc>
  void AskAll(const std::map<ServerId, typename Rpc::Request>& requests,
              std::function<void(ServerId, Result<typename Rpc::Reply>)> each, std::function<void()> done);
  std::string NameOf(ServerId id) const;

  EventLoop& loop_;
  Clock& clock_;
  Chunkservers& chunkservers_;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

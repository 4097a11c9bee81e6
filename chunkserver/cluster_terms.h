// What the cluster's configuration asks of this chunkserver: options that are set for all, and whether it is
// to leave. Loop's thread.
//
//   PrepareConf -> can it be? -> prepared: (generation, ballot), 10 s -> decided -> applied
//                      |                       |                            by LearnConf, a registration's or
//                      |                       `-> time is up: forgotten    a heartbeat's answer
//                      `-> no: words for the administrator
//
// Preparing changes one thing only: whoever is to leave creates no chunks meanwhile, so that "it holds
// nothing" is still true when the change is decided.
#pragma once

#include <string>

#include "chunkserver/tunables.h"
#include "common/status.h"
#include "proto/chunk.pb.h"

namespace kfs {

// The chunkserver whose terms they are. Outlives them.
class ClusterTermsEnv {
 public:
  virtual ~ClusterTermsEnv() = default;
  // Whether the disks allow it.
  virtual Status CheckTunables(const Tunables& tunables) = 0;
  virtual void Apply(const Tunables& tunables) = 0;
  // No chunks are created from here on.
  virtual void RefuseNew(bool refuse) = 0;
  // EBUSY: it holds chunks, or may do so.
  virtual Status HoldsNothing() = 0;
};

class ClusterTerms {
 public:
  static constexpr auto kPreparedFor = std::chrono::seconds(10);  // a change is decided or refused by then

  ClusterTerms(const Tunables& own, const Clock& clock, ClusterTermsEnv& env)
      : own_(own), in_force_(own), clock_(clock), env_(env) {}

  Status Prepare(const pb::PrepareConfRequest& request);
  // Of an older generation than is known: nothing happens.
  void Learn(uint64_t generation, const pb::ChunkserverTerms& terms);
  // Lets go of what was prepared and never decided; called every second or so.
  void OnTimer();

  uint64_t generation() const { return generation_; }  // 0: none has been told
  const Tunables& in_force() const { return in_force_; }

 private:
  Tunables With(const pb::ChunkserverTerms& terms) const;
  void Forget();

  const Tunables own_;
  Tunables in_force_;
  const Clock& clock_;
  ClusterTermsEnv& env_;
  uint64_t generation_ = 0;
  bool left_ = false;  // as of generation_
  pb::PrepareConfRequest prepared_;
  MonoTime prepared_until_{};  // none: nothing is prepared
};

}  // namespace kfs

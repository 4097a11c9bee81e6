// How many chunks of this member's volumes lie on chunkservers that are not in the configuration any more:
// lost, unless the chunkserver comes back with its disks, until their files are removed or overwritten.
//
// Nothing is kept about it, so that nothing can disagree with the chunks' own records: they are counted, a
// page at a time on a JobThread, at a tenth of its time at most, as soon as a chunkserver has been removed,
// and again and again for as long as there are any. A cluster that never removed a chunkserver counts
// nothing. Loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "common/clock.h"
#include "common/lifetime.h"
#include "metaserver/executor/executor.h"
#include "proto/admin.pb.h"
#include "proto/cluster.pb.h"
#include "rpc/job_thread.h"

namespace kfs::meta {

struct LostCount {
  uint64_t chunks = 0, files = 0;
};
// By number of the chunkserver.
using LostCounts = std::map<uint64_t, LostCount>;

class LostChunks {
 public:
  LostChunks(Clock& clock, JobThread& scans, Executor& executor,
             std::function<const pb::ClusterConf&()> conf);
  ~LostChunks() { lifetime_.End(); }

  // A few times a second.
  void OnTimer();
  // As counted last. Null: it has not been counted yet, or there is nothing to be counted.
  const LostCounts* Of(VolumeId id) const;
  void Fill(VolumeId id, pb::VolumeInfo* out) const;

  static constexpr auto kAgainMin = std::chrono::seconds(2);
  static constexpr auto kAgainMax = std::chrono::minutes(10);
  static constexpr auto kAgainNone = std::chrono::hours(1);  // after nothing was found
  static constexpr int kRest = 9;                            // times as long as it took
  static constexpr size_t kPage = 100000;                    // records

 private:
  struct Pass {
    uint64_t incarnation = 0;  // of the volume
    std::string from;          // key of the next record
    uint64_t last_ino = 0;     // on each of `last_on`
    std::set<uint64_t> last_on;
    LostCounts counts;
    Duration worked{};
  };
  struct State {
    std::set<uint64_t> present;  // chunkservers, when it was begun
    Pass pass;
    MonoTime next_at{};
    std::optional<LostCounts> counted;
    int64_t counted_wall = 0;
  };
  void Begin(State& state, uint64_t incarnation, std::set<uint64_t> present);
  void Step(VolumeId id, Volume& volume);
  void Stepped(VolumeId id, const std::shared_ptr<Pass>& pass, const Status& s);
  static Status CountPage(Clock& clock, Db& db, const std::set<uint64_t>& present, Pass& pass);

  Clock& clock_;
  JobThread& scans_;
  Executor& executor_;
  const std::function<const pb::ClusterConf&()> conf_;
  std::map<VolumeId, State> states_;
  bool busy_ = false;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

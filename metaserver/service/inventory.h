// What chunkservers say that they hold, compared with what volumes name: what is garbage, what was found
// again, and what this metaserver has never heard of. Only what certainly nothing references may go: when in
// doubt, a chunk stays. Loop's thread only.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "common/lifetime.h"
#include "metaserver/base/alarms.h"
#include "metaserver/chunks/chunkservers.h"
#include "metaserver/executor/executor.h"
#include "metaserver/hosting/sync_points.h"
#include "metaserver/losses/missing_chunks.h"
#include "proto/cluster.pb.h"
#include "rpc/incoming_call.h"
#include "rpc/job_thread.h"

namespace kfs::meta {

class Inventory {
 public:
  // `conf`: what is decided now.
  using ConfFn = std::function<const pb::ClusterConf&()>;

  Inventory(Clock& clock, JobThread& scans, Executor& executor, Chunkservers& chunkservers,
            MissingChunks& missing, const SyncPoints& points, ConfFn conf, Alarms& alarms)
      : clock_(clock),
        scans_(scans),
        executor_(executor),
        chunkservers_(chunkservers),
        missing_(missing),
        points_(points),
        conf_(std::move(conf)),
        alarms_(alarms) {}

  // Reads what it needs on a thread, and answers when all that it has changed is in the log, and survives loss
  // of power where something is garbage.
  void Answer(const IncomingCallPtr& call, const pb::ReportChunksRequest& request);
  // The same for whoever `reporter` says: none (any more), and nothing is compared nor answered.
  using Answered = std::function<void(const Status&, const pb::ReportChunksReply&)>;
  void Answer(std::function<ServerId()> reporter, const pb::ReportChunksRequest& request, Answered answered);
  // What is under way ends unanswered.
  void Stop() { lifetime_.End(); }

 private:
  // What an inventory has found is told of until it should have been found again.
  static constexpr auto kUnknownLasts = std::chrono::hours(24);

  void Compare(ServerId server, const pb::ReportChunksRequest& request, pb::ReportChunksReply* reply);
  // A chunk that only chunkservers have which are not known any more is this one's from here on. True: it
  // was.
  bool TakeBack(Volume& volume, ServerId server, const pb::ReportChunksRequest::Held& held,
                const rec::ChunkOwner& owner, rec::Chunk chunk);
  void NoteUnknown(const Volume& volume, ServerId server, size_t count, uint64_t first);

  Clock& clock_;
  JobThread& scans_;
  Executor& executor_;
  Chunkservers& chunkservers_;
  MissingChunks& missing_;
  const SyncPoints& points_;
  const ConfFn conf_;
  Alarms& alarms_;
  // Which chunkservers claim chunks of numbers that the volume's metaserver never gave out, and until when
  // that is believed.
  std::map<VolumeId, std::map<ServerId, MonoTime>> claims_;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

// Chunks that nothing references any more: their records (server, chunk) are in the database; this job asks
// the chunkservers to delete them, some at a time, and drops the records once they have. Loop's thread only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "common/lifetime.h"
#include "metaserver/chunks/chunk_jobs_env.h"
#include "metaserver/chunks/chunkservers.h"
#include "metaserver/store/volume_store.h"

namespace kfs::meta {

class Garbage {
 public:
  Garbage(VolumeId volume, VolumeStore& store, Chunkservers& servers, ChunkJobsEnv& env);
  ~Garbage();
  Status Load();

  // Its record has been put into the batch.
  void Added(ServerId server, ChunkId chunk);
  // Every now and then: one message to each server that has something to delete and nothing under way. That,
  // and the batch's size, is the limit of its rate.
  void Run();

  size_t CountOf(ServerId server) const;
  size_t size() const;

  static constexpr size_t kBatch = 1024;
  static constexpr size_t kFreshMax = 1u << 16;

 private:
  struct Work {
    size_t count = 0;
    bool sent = false;
    // What was added lately. Only when that is more than kFreshMax are records looked for, and those from the
    // lowest on that may be there: what was deleted before it is walked over each time.
    std::deque<ChunkId> fresh;
    bool more = false;
    uint64_t from = 0;
  };
  std::vector<ChunkId> Next(ServerId server, Work& work);
  void Send(ServerId server, const std::shared_ptr<std::vector<ChunkId>>& chunks);

  const VolumeId volume_;
  VolumeStore& store_;
  Chunkservers& servers_;
  ChunkJobsEnv& env_;
  std::map<ServerId, Work> servers_with_;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

// Changes of chunks that chunkservers have not yet acknowledged: sent in order per chunk, again and again
// until they are, also after a restart. The records are durable with the metadata change that caused them;
// this is their memory. Loop's thread only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/lifetime.h"
#include "metaserver/base/call.h"
#include "metaserver/chunks/chunk_jobs_env.h"
#include "metaserver/chunks/chunkservers.h"
#include "metaserver/store/txn.h"
#include "metaserver/store/volume_store.h"

namespace kfs::meta {

class Mutations {
 public:
  Mutations(VolumeId volume, uint64_t chunk_size, VolumeStore& store, Chunkservers& servers,
            ChunkJobsEnv& env);
  ~Mutations();
  Status Load();

  // Its record is in the batch. Sent by Flush.
  void Add(rec::Mutation mutation);
  // After each commit: a chunk never changes before the record that says so is written.
  void Flush();
  // The chunk is gone: so are its mutations (records included).
  void Forget(ChunkId chunk);
  bool Pending(ChunkId chunk) const { return chunks_.contains(chunk); }
  size_t Backlog(ChunkId chunk) const {
    auto it = chunks_.find(chunk);
    return it == chunks_.end() ? 0 : it->second.todo.size();
  }
  // (How many wait is bounded by session: Executor::MayPark.)
  void Wait(ChunkId chunk, ParkedPtr parked) {
    const auto it = chunks_.find(chunk);
    if (it == chunks_.end()) return env_.Rerun(std::move(parked));
    it->second.waiters.Add(std::move(parked));
  }
  // Sends again whatever is not under way (a server came back, or a try failed). Who waits for one that has
  // been removed from the cluster runs again, and hears of it.
  void Kick();
  // Whom the chunk's next mutation waits for, if that one has been removed from the cluster; else 0.
  uint64_t Gone(ChunkId chunk) const;
  // The chunk has come back, at version `held`, on a chunkserver that had another number. False: it is older
  // than what its mutations begin with.
  bool MayMoveTo(ChunkId chunk, ChunkVersion held) const;
  // They go there. REQUIRES: Pending(chunk)
  void MoveTo(ChunkId chunk, ServerId server);

  // The last mutation of the chunk could not reserve all its space.
  bool Short(ChunkId chunk) const { return short_.contains(chunk); }

  size_t size() const { return count_; }
  size_t CountOf(ServerId server) const;

 private:
  struct Queue {
    std::deque<rec::Mutation> todo;
    bool sent = false;  // the first is under way
    Waiters waiters;
  };
  void SendFirst(ChunkId chunk, Queue& queue);
  void Send(ChunkId chunk, ServerId server, const pb::MutateChunkRequest& request);
  bool Written(ChunkId chunk) const;  // something was committed to it
  void Answered(ChunkId chunk, uint64_t to, ServerId server, const Status& status, const std::string& body);
  void NoteAllocated(ChunkId chunk, uint64_t version, uint64_t allocated);

  const VolumeId volume_;
  const uint64_t chunk_size_;
  VolumeStore& store_;
  Chunkservers& servers_;
  ChunkJobsEnv& env_;
  std::unordered_map<ChunkId, Queue> chunks_;
  std::unordered_set<ChunkId> short_;  // until their next mutation, or their end
  std::vector<ChunkId> fresh_;
  size_t count_ = 0;
  Lifetime lifetime_;  // answers may come later than our end
};

}  // namespace kfs::meta

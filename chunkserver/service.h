// Answers requests about chunks, of clients and of metaservers.
// Loop's thread. Whose connection a request comes on makes no difference: what several metaservers ask about
// one chunk runs in the chunk's lane of the pool, and its version decides.
//
// What memory can answer is answered at once, on the loop; what may wait for a disk goes to the pool and
// comes back.
#pragma once

#include <functional>
#include <memory>

#include "chunkserver/access_gate.h"
#include "chunkserver/chunk_store.h"
#include "chunkserver/cluster_terms.h"
#include "chunkserver/io_pool.h"
#include "chunkserver/metrics.h"
#include "chunkserver/missing_chunks.h"
#include "rpc/dispatcher.h"

namespace kfs {

class ChunkService {
 public:
  struct Options {
    // Larger ones are for the pool, even where nothing waits for a disk: a MiB is copied and checked, and its
    // memory is to be had first, which takes milliseconds where a guest's pages are its host's to find.
    size_t inline_write_max = 256 << 10, inline_read_max = 256 << 10;
  };
  // All outlive it.
  ChunkService(EventLoop& loop, ChunkStore* store, IoPool* pool, ChunkMetrics* metrics, ClusterTerms* terms,
               AccessGate* gate, Options options)
      : loop_(loop),
        store_(store),
        pool_(pool),
        metrics_(metrics),
        terms_(terms),
        gate_(gate),
        options_(options) {}

  void Register(Dispatcher* dispatcher);
  ClusterTerms* terms() const { return terms_; }
  AccessGate* gate() const { return gate_; }
  const MissingChunks& missing() const { return missing_; }

 private:
  struct Outcome;
  // Runs `op` now if it need not wait, else on the pool; then answers.
  using Attempt = std::function<Outcome(Wait)>;
  void Execute(IncomingCallPtr call, ChunkKey key, bool may_inline, Attempt attempt);
  // What the store asks at the access's turn; none: the call has been refused.
  std::optional<ChunkStore::MayFn> Admit(const IncomingCallPtr& call, const pb::ChunkRef& ref,
                                         const pb::ChunkAccess& access, uint32_t right);
  void OnPool(IncomingCallPtr call, std::optional<ChunkKey> key, Attempt attempt);
  void Answer(const IncomingCallPtr& call, Outcome outcome);

  void Read(IncomingCallPtr call, const pb::ChunkReadRequest& request);
  void Write(IncomingCallPtr call, const pb::ChunkWriteRequest& request);
  void Sync(IncomingCallPtr call, const pb::ChunkSyncRequest& request);
  void Seek(IncomingCallPtr call, const pb::ChunkSeekRequest& request);
  void Mutate(IncomingCallPtr call, const pb::MutateChunkRequest& request);
  void Delete(IncomingCallPtr call, const pb::DeleteChunksRequest& request);
  void QueryDisks(IncomingCallPtr call);

  EventLoop& loop_;
  ChunkStore* const store_;
  IoPool* const pool_;
  ChunkMetrics* const metrics_;
  ClusterTerms* const terms_;
  AccessGate* const gate_;
  const Options options_;
  MissingChunks missing_;
};

}  // namespace kfs

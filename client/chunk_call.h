// One request about one chunk, to one of those who have it: which replica is asked, what it is shown, and
// what is said when there is nobody to ask.
//
//   ChunkRead, ChunkSeek   any replica: the head, and when one cannot be reached the next one
//   ChunkWrite             the head, which orders the chunk's writes: never another
//
// fn(address, Answer&, Reply&) runs exactly once, on the worker's thread, with what the last one asked has
// said; the op may be finished by then. `address` is who that was, empty when no replica has a known one: the
// answer is kConnectionLost then, as a later layout may name one. An error is not mended here: see
// ChunkRetry.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include "client/layout_cache.h"
#include "client/protocol_worker.h"
#include "client/remote_call.h"
#include "proto/op_types.h"

namespace kfs {

template <typename Rpc>
constexpr bool kAnyReplica = std::is_same_v<Rpc, rpc::ChunkRead> || std::is_same_v<Rpc, rpc::ChunkSeek>;

inline Status NobodyHasChunk() { return Status(EIO, Code::kConnectionLost, "no chunkserver has this chunk"); }

// Asks replica `at`, and those after it.
template <typename Rpc, typename Fn>
void CallReplica(ProtocolWorker& worker, const KfsOpPtr& op, const ChunkPlace& place, size_t at,
                 typename Rpc::Request request, Slices payload, Fn fn) {
  const std::string& address = place.replicas[at].address;
  size_t next = kAnyReplica<Rpc> ? at + 1 : place.replicas.size();
  while (next < place.replicas.size() && place.replicas[next].address.empty()) ++next;
  worker.session().FillAccess(place, place.replicas[at], request.mutable_access());
  if (next == place.replicas.size()) {
    return RemoteCall::Chunk<Rpc>(
        worker, op, address, std::move(request), std::move(payload),
        [address, fn = std::move(fn)](Answer& answer, typename Rpc::Reply& reply) mutable {
          fn(address, answer, reply);
        });
  }
  auto again = request;
  RemoteCall::Chunk<Rpc>(worker, op, address, std::move(request), payload,
                         [&worker, op, place, at, next, again = std::move(again), payload,
                          fn = std::move(fn)](Answer& answer, typename Rpc::Reply& reply) mutable {
                           if (answer.status.code() != Code::kConnectionLost || op->finished())
                             return fn(place.replicas[at].address, answer, reply);
                           op->NoteTrouble(answer.status);
                           CallReplica<Rpc>(worker, op, place, next, std::move(again), std::move(payload),
                                            std::move(fn));
                         });
}

template <typename Rpc, typename Fn>
void CallChunk(ProtocolWorker& worker, const KfsOpPtr& op, const ChunkPlace& place,
               typename Rpc::Request request, Slices payload, Fn fn) {
  size_t at = 0;
  if constexpr (kAnyReplica<Rpc>) {
    while (at < place.replicas.size() && place.replicas[at].address.empty()) ++at;
  }
  if (at == place.replicas.size() || place.replicas[at].address.empty()) {
    Answer nobody(NobodyHasChunk());
    typename Rpc::Reply reply;
    return fn(std::string(), nobody, reply);
  }
  request.mutable_ref()->set_volume(worker.session().volume());
  request.mutable_ref()->set_chunk(place.chunk);
  request.mutable_ref()->set_version(place.version);
  CallReplica<Rpc>(worker, op, place, at, std::move(request), std::move(payload), std::move(fn));
}

}  // namespace kfs

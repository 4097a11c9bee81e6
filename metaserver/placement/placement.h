// Which chunkservers take the replicas of a new chunk. Pure; randomness is handed in. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "common/types.h"

namespace kfs::meta {

struct Candidate {
  ServerId id;
  uint64_t available = 0;  // bytes
  uint64_t capacity = 0;
  std::string host;  // servers of one host fail together
  bool up = false;
  uint64_t promised = 0;  // to chunks placed lately, which will grow
};

// A server with less than this left takes no new chunks: what it holds must still be able to grow a little.
constexpr uint64_t kServerReserveBytes = 64ull << 20;
// ... but never more than this part of its capacity, so that small test disks work.
constexpr uint64_t kServerReserveDivisor = 20;

// Up to `replicas` different servers, each drawn with a chance proportional to its free space; servers of
// hosts not yet used come first, before them those with room for a whole chunk. Skips servers that are down
// or full. Fewer than `replicas` when there are not enough; empty when none.
std::vector<ServerId> Choose(const std::vector<Candidate>& candidates, size_t replicas, uint64_t chunk_size,
                             std::mt19937_64& rng);

}  // namespace kfs::meta

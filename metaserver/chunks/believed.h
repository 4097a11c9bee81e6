// What is believed of what others say about a chunk.
#pragma once

#include <algorithm>
#include <cstdint>

namespace kfs::meta {

// Bytes that it takes on a disk: more than its size by what the file system rounds up, never by more than
// that again. It is added up, and whoever says it may lie.
inline uint64_t BelievedAllocated(uint64_t told, uint64_t chunk_size) {
  return std::min(told, 2 * chunk_size);
}

}  // namespace kfs::meta

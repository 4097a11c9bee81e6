// What allows a client to touch a chunk on one chunkserver, signed under a key that only that chunkserver and
// the metaservers have. Two parts, so that little has to be renewed: a ticket of the session, which runs out,
// and a token for each chunk, which holds as long as the session has tickets and the chunk its version.
// docs/fencing.md tells what rests on them. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kfs {

// Bits: what a session may do with a chunk's data, and what a file was opened for.
enum ChunkRights : uint32_t {
  kReadChunk = 1,
  kWriteChunk = 2,
};
// What an open with these flags of open(2) is for.
uint32_t RightsOf(uint32_t flags);

constexpr size_t kTokenMacSize = 16;  // HMAC-SHA256, cut
// A layout has tokens for so many chunks at most: each costs the metaserver a microsecond.
constexpr size_t kTokensMax = 256;

// Both ends derive it from the cluster's secret of that generation (common/keys.h).
std::string ChunkserverKeyId(std::string_view uuid, uint32_t generation = 1);
bool IsChunkserverKeyOf(std::string_view uuid, std::string_view key_id);

struct TicketClaim {
  uint32_t volume = 0;
  uint64_t session = 0;
  uint64_t clock = 0;
  uint64_t expires_ms = 0;
  uint64_t serial = 0;
};
std::string TicketMac(std::string_view key, const TicketClaim& claim);

struct TokenClaim {
  uint32_t volume = 0;
  uint64_t chunk = 0;
  uint64_t version = 0;
  uint64_t session = 0;
  uint32_t rights = 0;
};
std::string TokenMac(std::string_view key, const TokenClaim& claim);

}  // namespace kfs

#include "common/chunk_token.h"

#include <fcntl.h>

#include "common/keys.h"
#include "common/secret.h"

namespace kfs {

uint32_t RightsOf(uint32_t flags) {
  const uint32_t access = flags & O_ACCMODE;
  if (access == O_RDONLY) return kReadChunk;
  if (access == O_WRONLY) return kWriteChunk;
  return uint32_t{kReadChunk} | kWriteChunk;
}

std::string ChunkserverKeyId(std::string_view uuid, uint32_t generation) {
  return "chunkserver/" + std::string(uuid) + "/" + std::to_string(generation);
}

bool IsChunkserverKeyOf(std::string_view uuid, std::string_view key_id) {
  const uint32_t generation = KeyGeneration(key_id);
  return generation != 0 && key_id == ChunkserverKeyId(uuid, generation);
}

std::string TicketMac(std::string_view key, const TicketClaim& c) {
  return MacOf(key, "kfs session ticket", {c.volume, c.session, c.clock, c.expires_ms, c.serial},
               kTokenMacSize);
}

std::string TokenMac(std::string_view key, const TokenClaim& c) {
  return MacOf(key, "kfs chunk token", {c.volume, c.chunk, c.version, c.session, c.rights}, kTokenMacSize);
}

}  // namespace kfs

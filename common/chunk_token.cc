#include "common/chunk_token.h"

#include <fcntl.h>

#include "common/keys.h"
#include "common/secret.h"

namespace kfs {
namespace {

// Fixed width, so that no two claims have one text.
void Add(std::string* text, uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) text->push_back(static_cast<char>(value >> shift));
}

std::string Mac(std::string_view key, const std::string& text) {
  std::string mac = HmacSha256(key, text);
  mac.resize(kTokenMacSize);
  return mac;
}

}  // namespace

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

std::string TicketMac(std::string_view key, const TicketClaim& claim) {
  std::string text = "kfs session ticket";
  for (const uint64_t value :
       {uint64_t{claim.volume}, claim.session, claim.clock, claim.expires_ms, claim.serial})
    Add(&text, value);
  return Mac(key, text);
}

std::string TokenMac(std::string_view key, const TokenClaim& claim) {
  std::string text = "kfs chunk token";
  for (const uint64_t value :
       {uint64_t{claim.volume}, claim.chunk, claim.version, claim.session, uint64_t{claim.rights}})
    Add(&text, value);
  return Mac(key, text);
}

}  // namespace kfs

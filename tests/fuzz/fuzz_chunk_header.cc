// The header of a chunk's .meta file, as it may come back from a bad disk.
#include <cstring>

#include "chunkserver/format.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr kfs::ChunkKey kKey{.volume = kfs::VolumeId(1), .chunk = kfs::ChunkId(42)};
  (void)kfs::ParseBootId({reinterpret_cast<const char*>(data), size});
  char bytes[kfs::kMetaHeaderSize] = {};
  if (size > 0) std::memcpy(bytes, data, std::min(size, sizeof(bytes)));
  const kfs::Result<kfs::ChunkHeader> header = kfs::DecodeChunkHeader(bytes, kKey);
  if (!header.ok()) return 0;
  FUZZ_CHECK(header->key == kKey);
  char again[kfs::kMetaHeaderUsed] = {};
  kfs::EncodeChunkHeader(*header, again);
  const kfs::Result<kfs::ChunkHeader> second = kfs::DecodeChunkHeader(again, kKey);
  FUZZ_CHECK(second.ok());
  FUZZ_CHECK(second->version == header->version && second->dirty == header->dirty &&
             second->boot == header->boot);
  return 0;
}

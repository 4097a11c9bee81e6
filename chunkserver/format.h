// What lies on a chunkserver's disks: the header and the block table of a chunk's .meta file.
// docs/chunk-format.md draws them and says why they survive a crash. Pure functions, any thread.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/limits.h"
#include "common/status.h"
#include "common/types.h"

namespace kfs {

struct ChunkKey {
  VolumeId volume;
  ChunkId chunk;
  constexpr auto operator<=>(const ChunkKey&) const = default;
  std::string ToString() const;  // "v1/000000000000002a", for logs
};

using BootId = std::array<uint8_t, 16>;
// The kernel's (FileOps::BootId), from "fb712eaa-a76c-46c7-9d36-3939761302f0"; all zeros when malformed.
BootId ParseBootId(std::string_view text);
// As programs elsewhere compare it: 0 when it is not known.
uint64_t ShortBootId(const BootId& boot);

constexpr size_t kMetaHeaderSize = 4096;     // the table begins here
constexpr size_t kMetaHeaderUsed = 512;      // one sector: a header is written whole or not at all
constexpr uint32_t kMetaMagic = 0x4353464b;  // "KFSC" as it lies in memory
constexpr uint16_t kMetaFormat = 1;
constexpr uint32_t kMetaIncompatKnown = 0;
constexpr uint32_t kMetaRoCompatKnown = 0;

struct ChunkHeader {
  ChunkKey key;
  ChunkVersion version;
  bool dirty = true;  // may hold bytes that no power cut would spare
  BootId boot{};      // boot in which it was last made dirty
};

// One for each 4 KiB block. crc 0: never written, a hole. pending 0: no write under way.
struct BlockEntry {
  uint32_t crc = 0;
  uint32_t pending = 0;
};
static_assert(sizeof(BlockEntry) == 8);

void EncodeChunkHeader(const ChunkHeader& header, char* out);  // writes kMetaHeaderUsed bytes
// What was read of a .meta, up to kMetaHeaderUsed bytes: whether its header has never reached the disk, which
// is what a crash or a loss of power leaves of a creation.
bool NoHeaderYet(std::string_view read);
// EIO/kCorrupt when the bytes are not a header or belong to another chunk; EPROTONOSUPPORT for a newer
// format.
Result<ChunkHeader> DecodeChunkHeader(const char* in, ChunkKey expected);

// CRC as the table has it: 0 means "hole", so a true 0 is stored as 1.
constexpr uint32_t StoredCrc(uint32_t crc) { return crc == 0 ? 1 : crc; }
uint32_t BlockCrc(const void* block);  // of kBlockSize bytes, as stored
uint32_t ZeroBlockCrc();
bool IsZero(const void* data, size_t size);

constexpr uint64_t BlocksOf(uint64_t bytes) { return (bytes + kBlockSize - 1) / kBlockSize; }
constexpr uint64_t RoundUpToBlock(uint64_t offset) { return BlocksOf(offset) * kBlockSize; }

}  // namespace kfs

template <>
struct std::hash<kfs::ChunkKey> {
  size_t operator()(const kfs::ChunkKey& k) const noexcept {
    return std::hash<uint64_t>()((k.chunk.v * 0x9e3779b97f4a7c15ull) ^ k.volume.v);
  }
};

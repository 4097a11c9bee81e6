#include "chunkserver/format.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "common/crc32c.h"

namespace kfs {
namespace {

static_assert(std::endian::native == std::endian::little, "disk formats are little-endian");

// As it lies on the disk.
struct RawHeader {
  uint32_t magic;
  uint16_t format;
  uint16_t flags;
  uint32_t compat;
  uint32_t ro_compat;
  uint32_t incompat;
  uint32_t volume;
  uint64_t chunk;
  uint64_t version;
  uint8_t boot[16];
  uint8_t reserved[kMetaHeaderUsed - 60];
  uint32_t crc;  // of all bytes before it
};
static_assert(sizeof(RawHeader) == kMetaHeaderUsed);
constexpr uint16_t kFlagDirty = 1;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string ChunkKey::ToString() const { return fmt::format("v{}/{:016x}", volume.v, chunk.v); }

bool NoHeaderYet(std::string_view read) {
  return read.size() < kMetaHeaderUsed || read.find_first_not_of('\0') == std::string_view::npos;
}

uint64_t ShortBootId(const BootId& boot) {
  uint64_t halves[2];
  static_assert(sizeof(halves) == sizeof(boot));
  std::memcpy(halves, boot.data(), sizeof(halves));
  return halves[0] ^ halves[1];
}

BootId ParseBootId(std::string_view text) {
  BootId id{};
  size_t digits = 0;
  for (char c : text) {
    int d = HexDigit(c);
    if (d < 0) continue;
    if (digits == 32) return {};
    id[digits / 2] = static_cast<uint8_t>(id[digits / 2] << 4 | d);
    ++digits;
  }
  return digits == 32 ? id : BootId{};
}

void EncodeChunkHeader(const ChunkHeader& header, char* out) {
  RawHeader raw;
  std::memset(&raw, 0, sizeof(raw));
  raw.magic = kMetaMagic;
  raw.format = kMetaFormat;
  raw.flags = header.dirty ? kFlagDirty : 0;
  raw.volume = header.key.volume.v;
  raw.chunk = header.key.chunk.v;
  raw.version = header.version.v;
  std::memcpy(raw.boot, header.boot.data(), header.boot.size());
  raw.crc = Crc32c(&raw, offsetof(RawHeader, crc));
  std::memcpy(out, &raw, sizeof(raw));
}

Result<ChunkHeader> DecodeChunkHeader(const char* in, ChunkKey expected) {
  RawHeader raw;
  std::memcpy(&raw, in, sizeof(raw));
  if (raw.magic != kMetaMagic || raw.crc != Crc32c(&raw, offsetof(RawHeader, crc))) {
    return Status(EIO, Code::kCorrupt, fmt::format("chunk {}: the header is damaged", expected.ToString()));
  }
  if (raw.format != kMetaFormat || (raw.incompat & ~kMetaIncompatKnown) ||
      (raw.ro_compat & ~kMetaRoCompatKnown)) {
    return Status(EPROTONOSUPPORT,
                  fmt::format("chunk {}: format {} (features {:x}/{:x}) was written by a newer "
                              "kfs-chunkserver; upgrade this one",
                              expected.ToString(), raw.format, raw.ro_compat, raw.incompat));
  }
  ChunkHeader header;
  header.key = {VolumeId(raw.volume), ChunkId(raw.chunk)};
  header.version = ChunkVersion(raw.version);
  header.dirty = raw.flags & kFlagDirty;
  std::memcpy(header.boot.data(), raw.boot, header.boot.size());
  if (header.key != expected) {
    return Status(
        EIO, Code::kCorrupt,
        fmt::format("chunk {}: the header is that of chunk {}", expected.ToString(), header.key.ToString()));
  }
  return header;
}

uint32_t BlockCrc(const void* block) { return StoredCrc(Crc32c(block, kBlockSize)); }

uint32_t ZeroBlockCrc() {
  static const uint32_t crc = [] {
    const char zeros[kBlockSize] = {};
    return BlockCrc(zeros);
  }();
  return crc;
}

bool IsZero(const void* data, size_t size) {
  const char* p = static_cast<const char*>(data);
  return size == 0 || (p[0] == 0 && std::memcmp(p, p + 1, size - 1) == 0);
}

}  // namespace kfs

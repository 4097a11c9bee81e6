// CRC32C (Castagnoli), the checksum of frames, blocks and files. ISA-L does the work.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kfs {

// Checksum of `size` bytes, continued from `crc` (0 to begin with).
uint32_t Crc32c(const void* data, size_t size, uint32_t crc = 0);

}  // namespace kfs

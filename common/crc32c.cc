#include "common/crc32c.h"

#include <isa-l/crc.h>

namespace kfs {

uint32_t Crc32c(const void* data, size_t size, uint32_t crc) {
  // crc32_iscsi leaves pre- and post-inversion to its caller, and its prototype lacks const.
  auto* bytes = static_cast<unsigned char*>(const_cast<void*>(data));
  return ~crc32_iscsi(bytes, static_cast<int>(size), ~crc);
}

}  // namespace kfs

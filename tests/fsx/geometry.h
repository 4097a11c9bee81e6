#ifndef KFS_TESTS_FSX_GEOMETRY_H_
#define KFS_TESTS_FSX_GEOMETRY_H_

#include <cstdint>

namespace kfs::fsx {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kChunk = 64 << 20;         // KFS splits files here
constexpr uint64_t kVerifyMargin = 64 << 10;  // of the hole below the window, read by a full check

constexpr uint64_t AlignDown(uint64_t value) { return value & ~(kPage - 1); }
constexpr uint64_t AlignUp(uint64_t value) { return AlignDown(value + kPage - 1); }

}  // namespace kfs::fsx

#endif  // KFS_TESTS_FSX_GEOMETRY_H_

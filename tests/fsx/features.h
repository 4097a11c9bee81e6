#ifndef KFS_TESTS_FSX_FEATURES_H_
#define KFS_TESTS_FSX_FEATURES_H_

#include <cstdint>
#include <string>

#include "options.h"

namespace kfs::fsx {

// What this file system can do; found once, before the first operation.
enum Feature : uint32_t {
  kAlways = 0,
  kPunchHole = 1 << 0,
  kZeroRange = 1 << 1,
  kKeepSize = 1 << 2,
  kAllocate = 1 << 3,
  kCopyRange = 1 << 4,
  kDirect = 1 << 5,
  kSeekData = 1 << 6,
  kMap = 1 << 7,
};

// Tries every optional operation on a scratch file in `dir`, names what is missing on stderr, returns what is
// there.
uint32_t ProbeFeatures(const std::string& dir, const Options& options);

}  // namespace kfs::fsx

#endif  // KFS_TESTS_FSX_FEATURES_H_

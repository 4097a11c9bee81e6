// Times of files that anyone may set: nanoseconds since the epoch in 64 bits reach from 1677 to 2262, and
// files may be of later years (ext4: 2446). What INT64_MAX cuts off stands beside it; together they reach the
// year 2554. Times outside are the nearest inside, as every file system does at its own limits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ctime>

namespace kfs {

struct FarTime {
  int64_t ns = 0;
  uint64_t beyond = 0;  // nanoseconds after INT64_MAX; counts only beside that
};

inline FarTime FarTimeOf(const timespec& t) {
  constexpr int64_t kNs = 1000000000;
  constexpr int64_t kFirst = INT64_MIN / kNs + 1, kLast = static_cast<int64_t>(UINT64_MAX / kNs) - 1;
  if (t.tv_sec < kFirst) return {kFirst * kNs, 0};
  if (t.tv_sec > kLast) return FarTimeOf({kLast, kNs - 1});
  if (t.tv_sec < 0) return {int64_t{t.tv_sec} * kNs + t.tv_nsec, 0};
  const uint64_t ns = static_cast<uint64_t>(t.tv_sec) * kNs + static_cast<uint64_t>(t.tv_nsec);
  if (ns <= INT64_MAX) return {static_cast<int64_t>(ns), 0};
  return {INT64_MAX, ns - INT64_MAX};
}

// Before 1970 seconds round down, and nanoseconds stay positive.
inline timespec ToTimespec(FarTime t) {
  constexpr int64_t kNs = 1000000000;
  if (t.ns == INT64_MAX && t.beyond != 0) {
    // A peer may say anything; its sum must not wrap.
    const uint64_t ns = uint64_t{INT64_MAX} + std::min<uint64_t>(t.beyond, uint64_t{INT64_MAX});
    return {static_cast<time_t>(ns / kNs), static_cast<long>(ns % kNs)};
  }
  int64_t s = t.ns / kNs, rest = t.ns % kNs;
  if (rest < 0) {
    rest += kNs;
    --s;
  }
  return {static_cast<time_t>(s), static_cast<long>(rest)};
}

}  // namespace kfs

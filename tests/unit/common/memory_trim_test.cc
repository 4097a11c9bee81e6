#include "common/memory_trim.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

namespace kfs {
namespace {

#ifndef __has_feature
#define __has_feature(x) 0  // of clang, with which sanitizers are built
#endif
// Their allocators keep what was freed, and know nothing of malloc_trim.
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
size_t ResidentNow() {
  unsigned long long size = 0, resident = 0;
  FILE* f = std::fopen("/proc/self/statm", "re");
  if (f != nullptr && std::fscanf(f, "%llu %llu", &size, &resident) != 2) resident = 0;
  if (f != nullptr) std::fclose(f);
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST(MemoryTrimTest, ABurstsMemoryGoesBackToTheSystem) {
  constexpr size_t kBurst = 200u << 20, kPiece = 64u << 10;
  const size_t before = ResidentNow();
  // On another thread, so in another arena; the last piece stays and keeps its heap from shrinking by itself.
  std::vector<std::unique_ptr<char[]>> kept;
  std::thread([&] {
    std::vector<std::unique_ptr<char[]>> burst;
    for (size_t n = 0; n < kBurst; n += kPiece) burst.push_back(std::make_unique<char[]>(kPiece));
    kept.push_back(std::make_unique<char[]>(kPiece));
  }).join();
  size_t left = 0;
  EXPECT_TRUE(MemoryTrimmer::TrimIfMuchIsFree(&left));
  EXPECT_LT(ResidentNow(), before + kBurst / 2);
  EXPECT_FALSE(MemoryTrimmer::TrimIfMuchIsFree(&left)) << "nothing more to be had";
}
#endif

TEST(MemoryTrimTest, StopsAtOnce) { MemoryTrimmer trimmer; }

}  // namespace
}  // namespace kfs

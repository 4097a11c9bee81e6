// With the allocator and the settings that daemons have.
#include "common/allocator.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

namespace kfs {
namespace {

size_t ResidentNow() {
  unsigned long long size = 0, resident = 0;
  FILE* f = std::fopen("/proc/self/statm", "re");
  if (f != nullptr && std::fscanf(f, "%llu %llu", &size, &resident) != 2) resident = 0;
  if (f != nullptr) std::fclose(f);
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST(AllocatorTest, ABurstsMemoryGoesBackToTheSystem) {
  ReturnFreedMemory();
  constexpr size_t kBurst = 200u << 20, kPiece = 8u << 10;
  const size_t before = ResidentNow();
  // On another thread, which lives on and does nothing more; every thousandth piece stays.
  std::vector<std::unique_ptr<char[]>> kept;
  std::atomic<bool> freed{false}, end{false};
  std::thread other([&] {
    std::vector<std::unique_ptr<char[]>> burst;
    for (size_t n = 0; n < kBurst; n += kPiece) burst.push_back(std::make_unique<char[]>(kPiece));
    for (size_t i = 0; i < burst.size(); i += 1000) kept.push_back(std::move(burst[i]));
    burst.clear();
    freed = true;
    end.wait(false);
  });
  while (!freed) std::this_thread::yield();
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + std::chrono::seconds(60);
  // The allocator's thread tells nobody what it has returned; a minute bounds it.
  while (ResidentNow() > before + kBurst / 4 && Clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_LT(ResidentNow(), before + kBurst / 4);
  end = true;
  end.notify_all();
  other.join();
}

}  // namespace
}  // namespace kfs

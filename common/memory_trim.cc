#include "common/memory_trim.h"

#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace kfs {
namespace {

constexpr auto kLook = std::chrono::seconds(5);
constexpr int kArenasMax = 4;

// Resident memory that no file backs.
size_t AnonymousBytes() {
  unsigned long long size = 0, resident = 0, shared = 0;
  FILE* f = std::fopen("/proc/self/statm", "re");
  if (f == nullptr) return 0;
  if (std::fscanf(f, "%llu %llu %llu", &size, &resident, &shared) != 3) resident = shared = 0;
  std::fclose(f);
  return static_cast<size_t>(resident - shared) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

bool MemoryTrimmer::TrimIfMuchIsFree(size_t* left) {
  const struct mallinfo2 info = mallinfo2();
  const size_t in_use = info.uordblks + info.hblkhd, resident = AnonymousBytes();
  if (resident <= in_use + kKeep || resident <= *left + kKeep) return false;
  malloc_trim(kKeep / kArenasMax);
  *left = AnonymousBytes();
  return *left < resident;
}

MemoryTrimmer::MemoryTrimmer() {
  mallopt(M_ARENA_MAX, kArenasMax);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "kfs-trim");
    size_t left = 0;
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kLook, [this] { return stop_; })) {
      lock.unlock();
      TrimIfMuchIsFree(&left);
      lock.lock();
    }
  });
}

MemoryTrimmer::~MemoryTrimmer() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

}  // namespace kfs

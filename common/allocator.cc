#include "common/allocator.h"

#include <unistd.h>

#include <cstddef>
#include <cstdio>

// jemalloc's, where it is linked.
extern "C" int mallctl(const char* name, void* old, size_t* old_size, void* value, size_t size)
    __attribute__((weak));

namespace kfs {

uint64_t ResidentBytes() {
  unsigned long long size = 0, resident = 0;
  FILE* f = std::fopen("/proc/self/statm", "re");
  if (f == nullptr) return 0;
  if (std::fscanf(f, "%llu %llu", &size, &resident) != 2) resident = 0;
  std::fclose(f);
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void ReturnFreedMemory() {
  if (mallctl == nullptr) return;
  bool on = true;
  (void)mallctl("background_thread", nullptr, nullptr, &on, sizeof on);  // without it: as others allocate
}

}  // namespace kfs

#include "common/allocator.h"

#include <cstddef>

// jemalloc's, where it is linked.
extern "C" int mallctl(const char* name, void* old, size_t* old_size, void* value, size_t size)
    __attribute__((weak));

namespace kfs {

void ReturnFreedMemory() {
  if (mallctl == nullptr) return;
  bool on = true;
  (void)mallctl("background_thread", nullptr, nullptr, &on, sizeof on);  // without it: as others allocate
}

}  // namespace kfs

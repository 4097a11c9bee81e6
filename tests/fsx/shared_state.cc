#include "shared_state.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

namespace kfs::fsx {
namespace {

void* Allocate(size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("kfs-fsx: memory for the model");
    std::exit(1);
  }
  return memory;
}

}  // namespace

SharedState::SharedState(const Options& options)
    : base_(options.base_bytes),
      window_size_(options.max_size_bytes),
      log_(new (Allocate(sizeof(OpLog))) OpLog),
      files_(static_cast<FileState*>(Allocate(sizeof(FileState) * options.files))),
      windows_(static_cast<uint8_t*>(Allocate(options.max_size_bytes * options.files))) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  for (uint32_t i = 0; i < options.files; ++i) {
    new (&files_[i]) FileState;
    pthread_mutex_init(&files_[i].mutex, &attributes);
  }
  pthread_mutexattr_destroy(&attributes);
}

Model SharedState::model(uint32_t index) {
  return Model(&files_[index].size, windows_ + window_size_ * index, base_, window_size_);
}

}  // namespace kfs::fsx

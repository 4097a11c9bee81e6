// A move-only run of bytes for bulk data: allocated once, page-aligned when large, never zeroed.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace kfs {

class Buffer {
 public:
  Buffer() = default;
  // Contents are undefined until written.
  explicit Buffer(size_t size) : size_(size), data_(size == 0 ? nullptr : Allocate(size)) {}
  static Buffer Copy(const void* data, size_t size) {
    Buffer b(size);
    if (size != 0) std::memcpy(b.data(), data, size);
    return b;
  }
  Buffer(Buffer&& o) noexcept { swap(o); }
  Buffer& operator=(Buffer&& o) noexcept {
    Buffer b(std::move(o));
    swap(b);
    return *this;
  }
  void swap(Buffer& o) noexcept {
    std::swap(size_, o.size_);
    std::swap(data_, o.data_);
  }

  char* data() { return data_.get(); }
  const char* data() const { return data_.get(); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_.get(), size_}; }
  // Keeps the first `size` bytes. REQUIRES: size <= size()
  void Shrink(size_t size) {
    assert(size <= size_);
    size_ = size;
  }

 private:
  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  static char* Allocate(size_t size) {
    // Large buffers go to and from files and pipes: whole pages, aligned.
    void* p = size >= 4096 ? std::aligned_alloc(4096, (size + 4095) & ~size_t{4095}) : std::malloc(size);
    if (p == nullptr) std::abort();
    return static_cast<char*>(p);
  }

  size_t size_ = 0;
  std::unique_ptr<char, Free> data_;
};

}  // namespace kfs

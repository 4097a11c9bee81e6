// Bytes on their way: a view of a run of them, and whoever owns it, be it a Buffer, a part of one, or memory
// that was lent (its owner's deleter gives it back). Copying a slice copies no bytes. Any thread may hold
// one; nobody changes what it shows.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "common/buffer.h"

namespace kfs {

class Slice {
 public:
  Slice() = default;
  Slice(std::shared_ptr<const void> owner, const char* data, size_t size)
      : owner_(std::move(owner)), data_(data), size_(size) {}
  explicit Slice(Buffer&& buffer) {
    if (buffer.empty()) return;
    auto owner = std::make_shared<const Buffer>(std::move(buffer));
    data_ = owner->data();
    size_ = owner->size();
    owner_ = std::move(owner);
  }

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }
  // REQUIRES: offset + size <= size()
  Slice Part(size_t offset, size_t size) const {
    assert(offset <= size_ && size <= size_ - offset);
    return Slice(owner_, data_ + offset, size);
  }

 private:
  std::shared_ptr<const void> owner_;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

// The payload of a frame: slices, one behind the other. Mostly there is one.
class Slices {
 public:
  Slices() = default;
  Slices(Slice slice) { Add(std::move(slice)); }                 // NOLINT(google-explicit-constructor)
  Slices(Buffer&& buffer) : Slices(Slice(std::move(buffer))) {}  // NOLINT(google-explicit-constructor)

  void Add(Slice slice) {
    if (slice.empty()) return;
    size_ += slice.size();
    if (first_.empty()) {
      first_ = std::move(slice);
    } else {
      more_.push_back(std::move(slice));
    }
  }
  size_t size() const { return size_; }  // of all, in bytes
  bool empty() const { return size_ == 0; }
  size_t count() const { return first_.empty() ? 0 : 1 + more_.size(); }
  const Slice& operator[](size_t i) const { return i == 0 ? first_ : more_[i - 1]; }

 private:
  Slice first_;
  std::vector<Slice> more_;
  size_t size_ = 0;
};

}  // namespace kfs

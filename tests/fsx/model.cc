#include "model.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace kfs::fsx {

void Model::Write(uint64_t offset, const uint8_t* data, uint64_t length) {
  assert(offset >= base_ && offset + length <= end());
  std::memcpy(window_ + (offset - base_), data, length);
  Grow(offset + length);
}

void Model::Zero(uint64_t offset, uint64_t length) {
  assert(offset >= base_ && offset + length <= end());
  std::memset(window_ + (offset - base_), 0, length);
}

void Model::Grow(uint64_t size) { *size_ = std::max(*size_, size); }

void Model::Truncate(uint64_t size) {
  if (size < *size_) {
    uint64_t from = std::max(size, base_);
    if (from < end()) std::memset(window_ + (from - base_), 0, end() - from);
  }
  *size_ = size;
}

uint64_t Model::ReadLength(uint64_t offset, uint64_t length) const {
  return offset >= *size_ ? 0 : std::min(length, *size_ - offset);
}

std::optional<uint64_t> Model::Difference(uint64_t offset, const uint8_t* got, uint64_t length) const {
  for (uint64_t i = 0; i < length; ++i) {
    if (got[i] != At(offset + i)) return offset + i;
  }
  return std::nullopt;
}

std::optional<uint64_t> Model::FirstNonZero(uint64_t begin, uint64_t end) const {
  for (uint64_t i = std::max(begin, base_); i < std::min(end, this->end()); ++i) {
    if (At(i) != 0) return i;
  }
  return std::nullopt;
}

}  // namespace kfs::fsx

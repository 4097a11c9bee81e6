#ifndef KFS_TESTS_FSX_MODEL_H_
#define KFS_TESTS_FSX_MODEL_H_

#include <cstdint>
#include <optional>

namespace kfs::fsx {

// What one file must contain. A view of bytes that the shared memory owns; guarded by that file's mutex.
//
//   0 ........ base ............... base + window_size
//   hole       window (data lies only here)
//
// Bytes of the window at or after the size are always zero, so growing needs no work.
class Model {
 public:
  Model(uint64_t* size, uint8_t* window, uint64_t base, uint64_t window_size)
      : size_(size), window_(window), base_(base), window_size_(window_size) {}

  uint64_t size() const { return *size_; }
  uint64_t base() const { return base_; }
  uint64_t end() const { return base_ + window_size_; }
  uint8_t At(uint64_t offset) const {
    return offset < base_ || offset >= end() ? 0 : window_[offset - base_];
  }

  // REQUIRES: [offset, offset + length) lies in the window.
  void Write(uint64_t offset, const uint8_t* data, uint64_t length);
  void Zero(uint64_t offset, uint64_t length);
  // Makes the file at least `size` long.
  void Grow(uint64_t size);
  void Truncate(uint64_t size);

  // How many bytes a read of `length` at `offset` must return.
  uint64_t ReadLength(uint64_t offset, uint64_t length) const;
  // The first offset in [offset, offset + length) where `got` differs.
  std::optional<uint64_t> Difference(uint64_t offset, const uint8_t* got, uint64_t length) const;
  // The first offset in [begin, end) that is not zero.
  std::optional<uint64_t> FirstNonZero(uint64_t begin, uint64_t end) const;

 private:
  uint64_t* size_;
  uint8_t* window_;
  uint64_t base_;
  uint64_t window_size_;
};

}  // namespace kfs::fsx

#endif  // KFS_TESTS_FSX_MODEL_H_

// A chunkserver with a bug, as its disk sees it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "chunkserver/format.h"
#include "tests/sim/disk/sim_file_ops.h"

namespace kfs::sim {

// `planted`: 1: the table is written after the data; 2: data is not synced; 0: none.
class PlantedOps : public SimFileOps {
 public:
  PlantedOps(SimDisk& disk, int planted) : SimFileOps(disk), planted_(planted) {}

  int Open(const std::string& path, int flags, mode_t mode) override {
    const int fd = SimFileOps::Open(path, flags, mode);
    if (fd >= 0 && path.ends_with(".data")) data_.push_back(fd);
    return fd;
  }
  ssize_t Pwritev(int fd, const iovec* iov, int count, uint64_t offset) override {
    size_t size = 0;
    for (int i = 0; i < count; ++i) size += iov[i].iov_len;
    if (planted_ == 1 && !IsData(fd) && offset >= kBlockSize && !late_) {
      late_.emplace(Late{fd, {}, offset});
      for (int i = 0; i < count; ++i)
        late_->bytes.append(static_cast<const char*>(iov[i].iov_base), iov[i].iov_len);
      return static_cast<ssize_t>(size);
    }
    const ssize_t n = SimFileOps::Pwritev(fd, iov, count, offset);
    WriteLate();
    return n;
  }
  int Fdatasync(int fd) override {
    WriteLate();
    return planted_ == 2 && IsData(fd) ? 0 : SimFileOps::Fdatasync(fd);
  }
  void Close(int fd) override {
    WriteLate();
    SimFileOps::Close(fd);
  }

 private:
  struct Late {
    int fd;
    std::string bytes;
    uint64_t offset;
  };
  bool IsData(int fd) const { return std::ranges::count(data_, fd) != 0; }
  void WriteLate() {
    if (!late_) return;
    const Late late = *std::exchange(late_, std::nullopt);
    const iovec iov{const_cast<char*>(late.bytes.data()), late.bytes.size()};
    (void)SimFileOps::Pwritev(late.fd, &iov, 1, late.offset);
  }

  const int planted_;
  std::vector<int> data_;
  std::optional<Late> late_;
};

}  // namespace kfs::sim

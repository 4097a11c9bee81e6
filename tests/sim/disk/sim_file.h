// What is in a file of a simulated disk: what programs see, and what of it a loss of power would leave.
// Guarded by its disk's mutex. Copies share pages until one of them writes.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string_view>

#include "tests/sim/disk/lot.h"

namespace kfs::sim {

constexpr uint64_t kPageSize = 4096;
constexpr uint64_t kSectorSize = 512;  // what a disk writes whole or not at all

// What is left of writes that were not synced. Any file may keep all of it or none; else (and sectors that
// were there are overwritten whole or not at all)
enum class Tearing {
  kTails,    // what was written up to some byte: a kernel that writes a log's pages in their order
  kSectors,  // that, or each sector by itself: disks and kernels that write in any order
};

class SimFile {
 public:
  uint64_t size() const { return now_.size; }
  // Pages that take room, also beyond the end.
  uint64_t pages() const { return now_.pages.size(); }
  // Of these bytes, how many pages a write would add.
  uint64_t PagesMissing(uint64_t offset, uint64_t length) const;

  // Bytes read: fewer at the end.
  uint64_t Read(char* data, uint64_t length, uint64_t offset) const;
  void Write(std::string_view data, uint64_t offset);
  void Truncate(uint64_t size);
  // Pages of zeros where there are none. The size grows with it, or is kept.
  void Allocate(uint64_t offset, uint64_t length, bool keep_size);
  // Zeros, and no room taken by whole pages. The size stays.
  void Punch(uint64_t offset, uint64_t length);

  void Sync();
  // As Linux does after a failed write-back: pages count as clean. Some are gone at once, of others the next
  // loss of power tells, and no later Sync brings them to the disk unless they are written again.
  void FailSync(Lot& lot);
  void PowerLoss(Lot& lot, Tearing tearing);
  // One bit, on the disk and in memory. REQUIRES: byte < size().
  void Rot(uint64_t byte, int bit);

 private:
  using Page = std::array<char, kPageSize>;
  struct Image {
    uint64_t size = 0;
    std::map<uint64_t, std::shared_ptr<Page>> pages;  // by number; none: a hole
  };

  Page& Writable(uint64_t number);
  void Zero(uint64_t offset, uint64_t end);
  // Pages of which disk and memory differ.
  std::set<uint64_t> Dirty() const;
  uint64_t FirstDifference(uint64_t page) const;
  void KeepUpTo(uint64_t cut);
  void KeepSectors(Lot& lot);
  static const Page& PageOf(const Image& image, uint64_t number);

  Image now_, kept_;
  uint64_t shrunk_to_ = 0;        // the smallest size since the last sync
  std::set<uint64_t> forgotten_;  // pages that a sync passes over
};

}  // namespace kfs::sim

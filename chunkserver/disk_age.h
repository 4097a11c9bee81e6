// How old the content of each disk is: a number that rises durably, before anybody is told, with each start
// and while chunks change. Metaservers remember the highest; by that a disk whose content is an older copy of
// what it was is known, a snapshot or an image put back. docs/chunk-format.md, "Age of a disk".
//
//   kfs-disk.age: age, start, taken     start: drawn when the age was raised by a start
//                 copy_accepted, copy_age     once an older copy was accepted
//
// Until a metaserver has taken it, a start's age stays what it is, start after start: an older copy that is
// refused must not come past the right one by being started again and again.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "common/clock.h"
#include "common/status.h"

namespace kfs {

class ChunkStore;

struct DiskAge {
  uint64_t age = 0;  // 0: none yet
  std::string start;
  bool taken = false;  // a metaserver has seen it
  // The last older copy that was accepted here: when (0: none ever was), and how old its content was.
  TimeNs copy_accepted = 0;
  uint64_t copy_age = 0;
  // Another start of it, at the age that this is.
  DiskAge Next(uint64_t to, std::string by) const;
};
std::string EncodeDiskAge(const DiskAge& age);
Result<DiskAge> DecodeDiskAge(const std::string& text);

// Any thread; all of it waits for the disks.
class DiskAges {
 public:
  static constexpr Duration kGoOnEvery = std::chrono::seconds(5);
  static constexpr uint64_t kMax = uint64_t{1} << 62;

  explicit DiskAges(ChunkStore* store) : store_(store) {}
  // A start. Each disk is older than `over` afterwards (0: nothing is asked for). One that takes no note goes
  // on at the age that it has.
  void Begin(uint64_t over);
  // A metaserver has taken them.
  void Taken();
  // One has called them older copies: nothing moves on any more, and the next start begins where this one
  // did.
  void Refused();
  // Those whose chunks have changed since get older. Nothing before Taken.
  void GoOn();

 private:
  ChunkStore* const store_;
  std::mutex mutex_;  // guards what follows, and that notes are taken one after the other
  bool taken_ = false, refused_ = false;
};

}  // namespace kfs

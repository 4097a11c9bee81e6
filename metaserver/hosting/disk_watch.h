// How much room is left on the disk of the data directory. A database that cannot write ends the process:
// long before that nothing new is made, and shortly before it no configuration is voted for any more. Loop's
// thread.
#pragma once

#include <cstdint>
#include <string>

#include "common/file_ops.h"
#include "metaserver/base/alarms.h"

namespace kfs::meta {

// Whom it tells. Outlives it.
class DiskWatchEnv {
 public:
  virtual ~DiskWatchEnv() = default;
  virtual void SetFull(bool full) = 0;      // nothing new is made
  virtual void SetHasRoom(bool there) = 0;  // for votes and later configurations
};

class DiskWatch {
 public:
  // `reserve`: bytes that are kept free; 0: a tenth of the disk, half a GiB at most. `subject`: of the
  // alarms.
  DiskWatch(FileOps& files, std::string dir, uint64_t reserve, std::string subject, Alarms& alarms,
            DiskWatchEnv& env);

  // Looks, and says what has changed. Does not wait for the disk.
  void Look();
  bool full() const { return full_; }

 private:
  void RoomChanged(uint64_t available);
  void FullChanged(uint64_t available, uint64_t reserve);

  FileOps& files_;
  const std::string dir_;
  const uint64_t reserve_;
  const std::string subject_;
  Alarms& alarms_;
  DiskWatchEnv& env_;
  bool full_ = false, has_room_ = true;
};

}  // namespace kfs::meta

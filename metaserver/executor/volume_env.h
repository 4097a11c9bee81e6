// What a volume asks of whoever runs it. Loop's thread only; outlives the volume.
#pragma once

#include <functional>

#include "common/status.h"
#include "common/types.h"
#include "metaserver/base/call.h"

namespace kfs::meta {

class Txn;
class Volume;

class VolumeEnv {
 public:
  virtual ~VolumeEnv() = default;

  // What is parked may go on.
  virtual void Rerun(ParkedPtr parked) = 0;
  // There is something to do at this tick's end.
  virtual void Changed() = 0;
  // As ChunkJobsEnv, of this volume.
  virtual void WhenLogged(VolumeId volume, std::function<void()> fn) = 0;
  virtual void AfterSync(VolumeId volume, std::function<void()> fn) = 0;
  // Whether a change that is no op's may count; else kTryAgain, and `again` when it may be tried again.
  virtual Status MayChange(const Volume& volume, const Txn& txn, std::function<void()> again) = 0;
};

}  // namespace kfs::meta

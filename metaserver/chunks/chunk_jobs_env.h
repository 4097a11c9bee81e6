// What the jobs that are owed to a volume's chunks (mutations, garbage, fences) ask of the volume. Loop's
// thread only; outlives them.
#pragma once

#include <functional>

#include "common/status.h"
#include "metaserver/base/call.h"

namespace kfs::meta {

class Txn;

class ChunkJobsEnv {
 public:
  virtual ~ChunkJobsEnv() = default;

  // The one way to records of inodes and chunks. An error of `change` drops it. kTryAgain, which `change` does
  // not give: others who hold what it has seen are asked first, and `again` is called when it may be tried
  // again, maybe in this call, and never once the volume is closed.
  virtual Status Change(const std::function<Status(Txn&)>& change, std::function<void()> again) = 0;
  // Who has waited may go on.
  virtual void Rerun(ParkedPtr parked) = 0;
  // Records have changed outside an op, or there is something to do: the tick's end shall come.
  virtual void Changed() = 0;
  // Runs `fn` once everything changed so far is in the log for good, or survives loss of power; never when it
  // comes to neither.
  virtual void WhenLogged(std::function<void()> fn) = 0;
  virtual void AfterSync(std::function<void()> fn) = 0;
};

}  // namespace kfs::meta

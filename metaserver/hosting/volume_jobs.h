// Work on the files of volumes that are not served (yet, or any more): opening, closing, copying, removing.
// Beside the loop, since it takes as long as a disk takes; of one volume one after another, in the order in
// which it was asked for. The loop's thread only, but for the work itself.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "common/lifetime.h"
#include "common/types.h"
#include "rpc/job_thread.h"

namespace kfs::meta {

class VolumeJobs {
 public:
  // `post` runs a function on the loop; as many volumes are worked on at a time as there are workers.
  VolumeJobs(std::function<void(std::function<void()>)> post, std::unique_ptr<Workers> workers)
      : thread_(std::move(post), std::move(workers)) {}
  // Waits for what runs. The rest, and what has been done but not told, is let go of with all that it holds;
  // nobody is told.
  ~VolumeJobs() { lifetime_.End(); }

  // `work` runs on a thread, then `done` here. What they hold lives no longer than this.
  void Do(VolumeId id, std::function<Status()> work, std::function<void(const Status&)> done);

 private:
  struct Job {
    std::function<Status()> work;
    std::function<void(const Status&)> done;
  };
  void Begin(VolumeId id);
  void Ended(VolumeId id, const Status& s);

  std::map<VolumeId, std::deque<Job>> jobs_;  // the first of each runs
  Lifetime lifetime_;
  JobThread thread_;  // ends before what it works on
};

}  // namespace kfs::meta

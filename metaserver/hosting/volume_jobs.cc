#include "metaserver/hosting/volume_jobs.h"

#include <utility>

namespace kfs::meta {

void VolumeJobs::Do(VolumeId id, std::function<Status()> work, std::function<void(const Status&)> done) {
  std::deque<Job>& jobs = jobs_[id];
  jobs.push_back({std::move(work), std::move(done)});
  if (jobs.size() == 1) Begin(id);
}

// The thread is given the place of a job only: a function that it has posted may outlive all that the job
// holds.
void VolumeJobs::Begin(VolumeId id) {
  thread_.Do(
      nullptr, [job = &jobs_.at(id).front()] { return job->work(); },
      lifetime_.While([this, id](const Status& s) { Ended(id, s); }));
}

void VolumeJobs::Ended(VolumeId id, const Status& s) {
  auto it = jobs_.find(id);
  const Job job = std::move(it->second.front());
  it->second.pop_front();
  if (it->second.empty()) {
    jobs_.erase(it);
  } else {
    Begin(id);
  }
  job.done(s);
}

}  // namespace kfs::meta

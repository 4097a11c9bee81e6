#include "tests/sim/disk/sim_env.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

namespace kfs::sim {

SimEnv::SimEnv(SimDisk& disk, uint64_t seed)
    : EnvWrapper(rocksdb::NewCompositeEnv(std::make_shared<SimFileSystem>(disk))),
      clock_(std::make_shared<SimRocksClock>()),
      lot_(seed ^ 0x656e76ull) {
  file_system_ = std::make_shared<SimFileSystem>(disk);
  system_clock_ = clock_;
}

SimEnv::~SimEnv() = default;

size_t SimEnv::background() const {
  std::lock_guard lock(mutex_);
  return jobs_.size();
}

bool SimEnv::RunOne() {
  Job job{};
  {
    std::lock_guard lock(mutex_);
    if (jobs_.empty()) return false;
    const auto chosen = jobs_.begin() + static_cast<int64_t>(lot_.Below(jobs_.size()));
    job = *chosen;
    jobs_.erase(chosen);
  }
  job.run(job.arg);
  return true;
}

void SimEnv::RunBackground() {
  while (RunOne()) {
  }
}

void SimEnv::Schedule(void (*run)(void*), void* arg, Priority priority, void* tag, void (*drop)(void*)) {
  std::lock_guard lock(mutex_);
  jobs_.push_back({run, arg, priority, tag, drop});
}

int SimEnv::UnSchedule(void* tag, Priority priority) {
  std::vector<Job> dropped;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(jobs_, [&](const Job& job) {
      const bool drops = job.tag == tag && job.priority == priority;
      if (drops) dropped.push_back(job);
      return drops;
    });
  }
  for (const Job& job : dropped) {
    if (job.drop != nullptr) job.drop(job.arg);
  }
  return static_cast<int>(dropped.size());
}

void SimEnv::StartThread(void (*)(void*), void*) {
  std::fputs("RocksDB starts a thread in a simulation of one\n", stderr);
  std::abort();
}

unsigned int SimEnv::GetThreadPoolQueueLen(Priority) const { return static_cast<unsigned int>(background()); }

rocksdb::Status SimEnv::GetHostName(char* name, uint64_t size) {
  std::snprintf(name, size, "simulated");
  return rocksdb::Status::OK();
}

std::string SimEnv::GenerateUniqueId() {
  std::lock_guard lock(mutex_);
  const uint64_t a = lot_.Next(), b = lot_.Next();
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", a >> 32, a >> 16 & 0xffff, a & 0xffff, b >> 48,
                     b & 0xffffffffffff);
}

}  // namespace kfs::sim

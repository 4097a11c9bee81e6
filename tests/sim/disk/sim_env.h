// RocksDB's surroundings in a simulation: a simulated disk, a clock that stands still until it is moved, and
// background work that waits in a queue until it is run. RocksDB starts no thread for a database in it that
// was opened as DbEnv::one_thread.
//
// One thread. Nothing may wait for background work, nobody would do it: a second Db::StartFlush comes after a
// RunBackground, and the database gets so much memory that RocksDB flushes none by itself. (When it would is
// no matter of the seed, either: its tables in memory are of random height, drawn thread by thread.)
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/system_clock.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "common/clock.h"
#include "tests/sim/disk/lot.h"
#include "tests/sim/disk/sim_file_system.h"

namespace kfs::sim {

// Begins in the year 2001.
class SimRocksClock final : public rocksdb::SystemClock {
 public:
  const char* Name() const override { return "SimRocksClock"; }
  uint64_t NowMicros() override { return static_cast<uint64_t>(now_ns) / 1000; }
  uint64_t NowNanos() override { return static_cast<uint64_t>(now_ns); }
  void SleepForMicroseconds(int micros) override { now_ns += int64_t{micros} * 1000; }
  rocksdb::Status GetCurrentTime(int64_t* unix_time) override {
    *unix_time = now_ns / 1000000000;
    return rocksdb::Status::OK();
  }
  std::string TimeToString(uint64_t time) override { return std::to_string(time); }

  int64_t now_ns = 1000000000ll * 1000000000;
};

class SimEnv final : public rocksdb::EnvWrapper {
 public:
  // The disk outlives it, and it outlives every database in it.
  SimEnv(SimDisk& disk, uint64_t seed);
  ~SimEnv() override;  // what is still queued is not run

  void Advance(Duration by) { clock_->now_ns += by.count(); }
  size_t background() const;
  // Runs one job that is queued, drawn by lot. False: there is none.
  bool RunOne();
  // Runs jobs, and those that they queue, until none is left.
  void RunBackground();

  const char* Name() const override { return "SimEnv"; }
  void Schedule(void (*run)(void*), void* arg, Priority priority, void* tag, void (*drop)(void*)) override;
  int UnSchedule(void* tag, Priority priority) override;
  void StartThread(void (*run)(void*), void* arg) override;
  unsigned int GetThreadPoolQueueLen(Priority) const override;
  void SetBackgroundThreads(int, Priority) override {}
  int GetBackgroundThreads(Priority) override { return 1; }
  void IncBackgroundThreadsIfNeeded(int, Priority) override {}
  int ReserveThreads(int, Priority) override { return 0; }
  int ReleaseThreads(int, Priority) override { return 0; }
  void WaitForJoin() override {}
  uint64_t NowMicros() override { return clock_->NowMicros(); }
  uint64_t NowNanos() override { return clock_->NowNanos(); }
  void SleepForMicroseconds(int micros) override { clock_->SleepForMicroseconds(micros); }
  rocksdb::Status GetCurrentTime(int64_t* unix_time) override { return clock_->GetCurrentTime(unix_time); }
  std::string TimeToString(uint64_t time) override { return clock_->TimeToString(time); }
  rocksdb::Status GetHostName(char* name, uint64_t size) override;
  std::string GenerateUniqueId() override;

 private:
  struct Job {
    void (*run)(void*);
    void* arg;
    Priority priority;
    void* tag;
    void (*drop)(void*);
  };

  const std::shared_ptr<SimRocksClock> clock_;
  mutable std::mutex mutex_;
  std::deque<Job> jobs_;  // guarded by mutex_; RocksDB bounds them: a few of a database
  Lot lot_;
};

}  // namespace kfs::sim

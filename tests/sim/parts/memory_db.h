// Databases in memory: class Db as the metaserver's sources know it, over maps, to be linked in place of the
// one over RocksDB. Opening and closing one takes microseconds instead of milliseconds. Its log is a list of
// batches, which can end anywhere: what was not synced may go with the power, in order, the latest first.
//
//   commit -> log (survives the process) -> sync -> survives the power
//
// Records may be cold: some until they are written or asked for, some again after that (Db::FromMemoryOnly), by
// lot.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "metaserver/store/db_env.h"

namespace kfs::sim {

class MemoryDisks {
 public:
  using Batch = std::vector<std::pair<std::string, std::optional<std::string>>>;
  using Content = std::map<std::string, std::string, std::less<>>;
  // One database.
  struct Disk {
    Content synced;
    std::deque<Batch> log;  // behind that
    uint64_t written = 0;   // batches, ever
    uint64_t acknowledged = 0;
    std::function<void()> changed;  // acknowledged has
    std::optional<std::string> Find(const std::string& key) const;
  };

  // For DbMemory: databases that are opened with it are these.
  meta::DbEnv Env();

  // Before each batch of a volume. It may stop the process, which makes that the last, or (false) the batch
  // not even that.
  std::function<bool(Disk&)> before_write;
  // A log kept elsewhere, which acknowledges later: told of each batch, it will call Acknowledge. Empty: at
  // once.
  std::function<void(Disk&, uint64_t)> acknowledge_later;
  // Planted: syncs do nothing.
  bool sync_lies = false;

  static void Acknowledge(Disk& disk, uint64_t up_to);
  // Nothing that the process still does reaches the databases.
  void Stop() { stopped_ = true; }
  // It is gone. `draw`: of what was not acknowledged yet some is there; with the power also of what was not
  // synced.
  void Ended(bool power, const std::function<uint64_t()>& draw);
  bool stopped() const { return stopped_; }

  Disk& Of(const std::string& path) { return disks_[path]; }
  uint64_t salt = 0;  // of which records are cold

 private:
  std::map<std::string, Disk> disks_;
  bool stopped_ = false;
};

}  // namespace kfs::sim

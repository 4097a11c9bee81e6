// A metaserver that is its executor alone: one volume over a database in memory, real sessions over the
// world's network; no members, no files, and no chunkservers but those that a part has. And mounts to it: class
// KfsClient as it is.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "client/kfs_client.h"
#include "metaserver/executor/executor.h"
#include "rpc/server.h"
#include "tests/sim/parts/memory_db.h"
#include "tests/sim/world/process.h"
#include "tests/sim/world/world.h"

namespace kfs::sim {

class MetaHost {
 public:
  static constexpr char kHost[] = "10.0.0.1", kAddress[] = "10.0.0.1:7400", kVolume[] = "v";

  // Bugs, as if they were the metaserver's.
  struct Planted {
    bool forgets_answers = false;     // stored ones, when a connection ends
    bool acknowledges_early = false;  // the log's last batch goes with the process
    bool syncs_nothing = false;
    bool drops_reclaimed_locks = false;
  };

  MetaHost(World& world, Duration session_ttl, Planted planted);
  ~MetaHost();

  void Start();
  bool up() const { return process_ != nullptr && process_->alive(); }
  // The process is gone at once, or at the end of this call when it is its own.
  void Crash(bool power);
  // The same at the n-th write to the log from now on, which is still done or not.
  void CrashAtWrite(int64_t n, bool done, bool power);
  // It comes to an orderly end. REQUIRES: in the process.
  void StopCleanly();
  // Some writes are acknowledged only after up to so long, as by a log on other machines.
  void AcknowledgeLater(Nanos most);
  // Planted: from here on, or no more.
  void SyncNothing(bool on) { disks_.sync_lies = on; }

  std::function<void()> on_power_loss;
  // It has ended, in whatever way, and the database is what the next one will find.
  std::function<void()> on_end;
  // In the process: how it reaches chunkservers (else it has none); what belongs to it besides, made when all
  // else is there and let go of first; before each turn of the executor's timer.
  std::function<std::unique_ptr<meta::ChunkserverLinks>()> links;
  std::function<std::shared_ptr<void>()> extend;
  std::function<void()> on_timer;

  // Null: it is down.
  meta::Volume* volume();
  meta::Executor* executor();
  meta::Chunkservers* chunkservers();
  const std::shared_ptr<Process>& process() const { return process_; }
  // A record of the volume as it would be found after a start.
  std::optional<std::string> OnDisk(const std::string& key) { return disks_.Of("/volume").Find(key); }
  Nanos started_at() const { return started_at_; }

 private:
  class Env;
  struct Serving;
  Status Make();
  void RegisterOps();
  void Timer();
  void Ended(bool power);

  World& world_;
  const Duration session_ttl_;
  const Planted planted_;
  const std::shared_ptr<Host> host_;
  MemoryDisks disks_;
  std::shared_ptr<Process> process_;
  std::unique_ptr<Serving> serving_;
  Nanos started_at_ = 0;
  int64_t writes_left_ = 0;  // until the crash; 0: none is to come
  bool last_write_done_ = false, power_ = false;
};

// A client on a host of its own.
class MountHost {
 public:
  MountHost(World& world, const std::string& address);
  ~MountHost() { Kill(); }

  void Start();
  bool up() const { return client_ != nullptr; }
  void Kill();
  KfsClient* client() { return client_.get(); }
  const std::shared_ptr<Process>& process() const { return process_; }
  const std::string& name() const { return host_->name; }

 private:
  World& world_;
  const std::shared_ptr<Host> host_;
  std::shared_ptr<Process> process_;
  std::unique_ptr<KfsClient::Connecting> connecting_;
  std::unique_ptr<KfsClient> client_;
};

}  // namespace kfs::sim

// How the executor reaches what is around it. Loop's thread only; outlives the executor.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/status.h"
#include "common/types.h"
#include "proto/common.pb.h"

namespace kfs::meta {

class Db;
class Volume;
struct Session;

class ExecutorEnv {
 public:
  virtual ~ExecutorEnv() = default;

  // EndTick shall be called at the end of this tick.
  virtual void ScheduleTick() = 0;
  // NextTick shall be called after what has arrived meanwhile.
  virtual void ScheduleNextTick() = 0;

  // Brings records into memory, then runs `done` on the loop; forgets what it was asked for when a volume is
  // removed. Without CanFetch ops read the disk themselves.
  virtual bool CanFetch() const = 0;
  virtual void Fetch(Db& db, std::vector<std::string> keys, std::function<void()> done) = 0;
  virtual void ForgetFetches(Db& db) = 0;

  // Asks a session's mount to send the releases that its kernel has queued, on each lane; `done` on all answers,
  // or loss. Without CanDrain no mount has any. REQUIRES: it is connected.
  virtual bool CanDrain() const = 0;
  virtual void Drain(Session& session, Ino ino, std::function<void()> done) = 0;
  virtual void CloseConnection(Session& session, uint8_t lane, const Status& why) = 0;

  // Why a volume is not here, for whoever asks for it.
  virtual Status WhyNotHere(const std::string& volume) = 0;
  // Its database is damaged: it is to be closed, soon and not from within the call. Maybe told again.
  virtual void Damaged(VolumeId volume) = 0;
  // How far it has been durable, for its mounts. False: they are not told.
  virtual bool SyncedTo(const Volume& volume, pb::SyncPoint* point) = 0;
};

}  // namespace kfs::meta

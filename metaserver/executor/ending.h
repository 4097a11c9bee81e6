// What a session leaves when it ends, expires, or its volume is closed: let go in steps, however much it is.
//
//   EndSession -> it is gone for everyone; its waiting calls, locks, append tokens, stored answers are let go
//   Expire        (a client that comes back waits for it)                    -> what was asked for at the end
//                 its locks once that survives a loss of power: else it would claim what another has had since
//   CloseVolume -> its waiting calls are refused                             -> its connection is closed
//
// Its requests for locks are granted nothing from the first moment on, and what it holds nobody else gets
// before it has been released. Loop's thread only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "metaserver/executor/session.h"
#include "metaserver/executor/volume.h"

namespace kfs::meta {

struct Ending {
  // Takes what waits from the session, which goes on without. `of`: its volume, if that stays here.
  Ending(SessionPtr ended, const Volume* of);

  SessionPtr session;
  VolumeId volume;           // 0: closed; what the session had there is gone with it
  uint64_t incarnation = 0;  // of the volume
  Status why;                // what those who wait are told; OK: nothing, they come again
  bool keeps_locks = false;  // another one lets go of them
  ParkedSet parked;
  std::map<uint64_t, ParkedPtr> waiting;
  Remembered remembered;       // what these answers tell of is gone
  Session::Replies replies;    // whose records go, too
  std::function<void()> done;  // may be empty
};

// What letting go asks of whoever has sessions end. Outlives it.
class EndingsEnv {
 public:
  virtual ~EndingsEnv() = default;
  virtual Volume* Find(VolumeId volume) = 0;  // null: it is not open here any more
  virtual void Refuse(const CallPtr& call, const Status& why) = 0;
  virtual void Changed() = 0;  // there is something to do
};

class Endings {
 public:
  static constexpr size_t kStep = 32;  // things let go at once: some 100 us

  explicit Endings(EndingsEnv& env) : env_(env) {}

  void Add(Ending ending);
  // False: nothing is left to be done.
  bool Step();
  bool empty() const { return endings_.empty(); }
  size_t parked() const;

 private:
  bool StepOf(Ending& ending);
  Volume* VolumeOf(const Ending& ending) const;

  EndingsEnv& env_;
  std::deque<Ending> endings_;  // they take turns
};

}  // namespace kfs::meta

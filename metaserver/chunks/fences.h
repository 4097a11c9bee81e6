// Fences on their way: a session's connection has ended, or the owner has just started, and what was written
// under the tickets given out before may still be in some socket. Chunkservers are told which tickets count
// no more; until they have answered, or the tickets have run out, others' access to the files that such a
// session may have been writing waits (docs/fencing.md). Loop's thread only.
//
//   Add -> FenceSessions to each chunkserver, one message at a time -> answered: the waiters run again
//                 ^                |
//                 +-- not there ---+  (again every tick of the timer, and when it registers)
#pragma once

#include <map>
#include <memory>
#include <unordered_set>
#include <vector>

#include "common/lifetime.h"
#include "metaserver/base/call.h"
#include "metaserver/chunks/chunk_jobs_env.h"
#include "metaserver/chunks/chunkservers.h"

namespace kfs::meta {

class Fences {
 public:
  // Inodes that the session had open for writing; null: any may have been.
  using Files = std::shared_ptr<const std::unordered_set<Ino>>;
  Fences(VolumeId volume, Chunkservers& servers, Clock& clock, ChunkJobsEnv& env);
  ~Fences();

  struct Fence {
    SessionId session;
    uint64_t serial = 0;      // its tickets below it count no more
    uint64_t expires_ms = 0;  // of the last of them, by Clock::BootMs
    bool others = false;      // those by other clocks do not, either
    Files files;
  };
  void Add(ServerId server, Fence fence);
  // Whether another's late write into this inode may still reach the chunkserver.
  bool Pending(ServerId server, Ino ino, SessionId asker) const;
  // Runs again when that may have changed. (How many wait is bounded by session: Executor::MayPark.)
  void Wait(ParkedPtr parked) { waiters_.Add(std::move(parked)); }
  // The server has registered, and may have lost its memory: before it hears what our clock shows it is told
  // of all fences.
  void Up(ServerId server);
  // Sends again, and forgets what has run out.
  void OnTimer();
  size_t pending() const;

 private:
  struct Entry {
    Fence fence;
    bool answered = false;
    bool logged = false;  // it may be sent: what it follows from stays
  };
  struct Server {
    std::map<std::pair<SessionId, bool>, Entry> entries;  // by session and `others`
    size_t unanswered = 0;
    bool under_way = false;
    uint64_t times_up = 0;  // answers to what was sent before count no more
  };
  void Logged(ServerId id, const std::pair<SessionId, bool>& key, uint64_t serial);
  void Send(ServerId id, Server& server);
  void RunWaiters();

  const VolumeId volume_;
  Chunkservers& servers_;
  Clock& clock_;
  ChunkJobsEnv& env_;
  std::map<ServerId, Server> fenced_;  // none without entries
  Waiters waiters_;
  Lifetime lifetime_;
};

}  // namespace kfs::meta

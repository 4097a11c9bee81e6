// Whether a client may touch a chunk, decided here and now without asking anybody: docs/fencing.md has the
// argument why no write lands late.
//
//   request -> Verify (its signatures, on arrival) -> ... -> its turn on the chunk: Check (its time, its
//   session)
//
// Tickets run out by the clock of the metaserver that made them. Heartbeats tell what that clock showed at
// some moment between their sending and their answer; taken for the sending, it shows no less than that now,
// so a ticket never holds for longer here than there. Thread-safe; nothing waits.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>

#include "common/clock.h"
#include "common/status.h"
#include "proto/chunk.pb.h"

namespace kfs {

class AccessGate {
 public:
  // Clocks of metaservers' processes: the latest are kept.
  static constexpr size_t kClocksMax = 64;
  // Sessions fenced and not yet run out.
  static constexpr size_t kFencesMax = 65536;
  // Where it is not known what the clock of a fence shows, it is over after this: no session lives longer
  // without being heard of (session-ttl is an hour at most).
  static constexpr uint64_t kFenceMsMax = 3'700'000;

  // `key` is this chunkserver's; `clock` outlives it. `without`: requests that show nothing at all pass, too:
  // for the time in which mounts of before tokens are still there (tls = accept).
  AccessGate(std::string key, const Clock& clock, bool without = false)
      : key_(std::move(key)), clock_(clock), without_(without) {}

  uint64_t NowMs() const { return clock_.BootMs(); }
  // A metaserver's clock showed this at some time after NowMs() was `asked_ms`.
  void LearnClock(uint64_t clock, uint64_t shows_ms, uint64_t asked_ms);

  // What a request was granted: its signatures are right.
  struct Grant {
    uint32_t volume = 0;
    uint64_t session = 0, serial = 0;
    uint64_t clock = 0, expires_ms = 0;
    bool without = false;  // nothing was shown, and nothing has to be
  };
  // EACCES: the request has no token, or one that no metaserver made for this chunk, version and chunkserver,
  // or none for this kind of access.
  Result<Grant> Verify(const pb::ChunkRef& ref, const pb::ChunkAccess& access, uint32_t right);
  // EACCES/kTokenRefused: it has run out, the session has been fenced, or it is not known (yet) what the
  // metaserver's clock shows. REQUIRES: the chunk is locked, until what was asked has been done.
  Status Check(const Grant& grant);
  // EAGAIN/kTryAgain: there are too many; nothing was fenced.
  Status Fence(const pb::FenceSessionsRequest& request);

  struct Counters {
    std::atomic<uint64_t> forged{0}, expired{0}, fenced{0}, unknown_clock{0};
  };
  const Counters& counters() const { return counters_; }
  size_t fences() const;

 private:
  // It showed this between the asking and the hearing.
  struct Shown {
    uint64_t shows_ms = 0, asked_ms = 0, heard_ms = 0;
  };
  struct Fenced {
    uint64_t serial = 0;  // lower ones of the clock are refused
    bool others = false;  // and all of other clocks
    uint64_t clock = 0, expires_ms = 0;
    uint64_t came_ms = 0;  // by our clock
    bool Refuses(const Grant& grant) const;
  };
  // At most what it shows now; none: it is not known.
  bool Latest(uint64_t clock, uint64_t* ms) const;
  // What it fences has run out: whoever shows a ticket now got it later.
  bool Over(const Fenced& fence) const;
  void Sweep();

  const std::string key_;
  const Clock& clock_;
  const bool without_;
  Counters counters_;
  mutable std::mutex mutex_;  // guards what follows
  std::map<uint64_t, Shown> clocks_;
  // By volume, session and clock; 0: of all clocks but one.
  std::map<std::tuple<uint32_t, uint64_t, uint64_t>, Fenced> fences_;
};

}  // namespace kfs

// Whose request runs next. One client may send thousands at once; what the loop cannot do within a few
// milliseconds waits here, and the sessions take turns, one request each, and so do the volumes. A session's
// requests keep their order.
//
// While nothing waits and the tick has time left a request runs where it arrives, and nothing is queued: the
// usual case. How much can wait is bounded by what a connection may have in service (rpc/connection.h).
// Loop's thread only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "common/clock.h"
#include "common/types.h"

namespace kfs::meta {

class Turns {
 public:
  using Fn = std::function<void()>;

  // What one tick may spend on requests before it commits and answers, and others are listened to.
  static constexpr Duration kTick = std::chrono::milliseconds(5);

  explicit Turns(Clock& clock) : clock_(clock) {}

  // Runs `fn` now or in its turn. It may call this again.
  void Take(VolumeId volume, SessionId session, Fn fn);
  // What waits of the session is never run.
  void Drop(VolumeId volume, SessionId session);
  // Runs what waits, in turns, while the tick has time.
  void RunWaiting();
  // The tick has used up its time.
  bool Spent();
  void TickEnded() { began_ = MonoTime{}; }
  bool waiting() const { return waiting_ != 0; }

 private:
  struct OfVolume {
    std::deque<SessionId> ring;  // sessions with something in `queues`, each once
    std::map<SessionId, std::deque<Fn>> queues;
  };
  void RunNext();

  Clock& clock_;
  MonoTime began_{};  // of this tick's work; zero: not yet
  size_t waiting_ = 0;
  std::deque<VolumeId> ring_;
  std::map<VolumeId, OfVolume> volumes_;
};

}  // namespace kfs::meta

// Whose request runs next. One client may send thousands at once; they wait here, and whoever has used least
// of the loop's time goes first, one request each: the volumes among themselves, and a volume's sessions
// among themselves. What a session sent runs in the order in which it came.
//
//   arrival -> Add -> (end of the tick) Run: until the tick's time is used up -> commit -> answers
//                                        `-> the rest in the next tick, after a look at the sockets
//
// Used time counts while something waits: a session that begins to ask again is no further behind than the
// one that is being served, whatever it used or saved before. A request cannot be interrupted; so a session
// with one request waits for the one that runs, for the commit, and for those that have used as little.
//
// How much can wait is bounded by what a connection may have in service (rpc/connection.h) and by what may be
// parked (Executor::MayPark). Loop's thread only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "common/clock.h"
#include "common/types.h"

namespace kfs::meta {

class Turns {
 public:
  using Fn = std::function<void()>;

  // What one tick may spend on requests before it commits and answers and others are listened to. Whoever
  // asks one thing at a time waits twice as long at most, for each; a commit costs a tenth of it.
  static constexpr Duration kTick = std::chrono::microseconds(250);
  // What each request is taken to use at least: it is read, and answered, too.
  static constexpr Duration kLeast = std::chrono::microseconds(10);

  enum class Lane {
    kFirst,    // what has come before, and waited elsewhere
    kInOrder,  // what the session sends
  };

  explicit Turns(Clock& clock) : clock_(clock) {}
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  // Nothing runs from within; `fn` may call this again.
  void Add(VolumeId volume, SessionId session, Lane lane, Fn fn);
  // Runs what waits now, in turns, while the tick has time; what is added meanwhile is for the next call.
  void Run();
  // The tick has used up its time.
  bool Spent();
  void TickEnded();
  size_t waiting() const { return waiting_; }

 private:
  struct OfSession {
    std::deque<Fn> first, in_order;
    Duration used{};
  };
  struct OfVolume {
    std::map<SessionId, OfSession> sessions;         // those that wait, or have used something of late
    std::set<std::pair<Duration, SessionId>> order;  // those that wait, by `used`
    Duration used{};
    Duration served{};  // `used` of the session served last, before: who begins to wait begins there
  };
  void RunNext();
  static void ForgetIdle(OfVolume& volume);

  Clock& clock_;
  MonoTime began_{};  // of this tick's work; zero: not yet
  size_t waiting_ = 0;
  std::map<VolumeId, OfVolume> volumes_;
  std::set<std::pair<Duration, VolumeId>> order_;  // those with sessions that wait, by `used`
  Duration served_{};                              // as OfVolume::served
};

}  // namespace kfs::meta

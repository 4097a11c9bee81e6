// Requests that a server answers itself, on its loop, without a queue of their own: a ping, a session's
// opening, an administrator's question. One connection may send thousands at once, or few that take long; so
// each has a little of a tick at once, and what goes beyond waits for its turn, connection after connection.
//
//   arrival -> Run: its connection has used little in this tick -> now
//                   `-> waits -> the next tick, after a look at the sockets: one each, while there is time
//
// A connection's requests keep their order. How many can wait is bounded by what a connection may have in
// service (rpc/connection.h). Loop's thread only.
#pragma once

#include <deque>
#include <functional>
#include <unordered_map>

#include "common/clock.h"
#include "common/lifetime.h"
#include "rpc/event_loop.h"

namespace kfs {

class CallTurns {
 public:
  using Fn = std::function<void()>;
  static constexpr Duration kAtOnce = std::chrono::microseconds(250);  // of one connection, in one tick
  static constexpr Duration kTick = std::chrono::milliseconds(1);      // of all

  explicit CallTurns(EventLoop& loop) : loop_(loop) {}

  // `who`: tells connections apart; may be gone when `fn` runs.
  void Run(const void* who, Fn fn);
  size_t waiting() const { return waiting_; }

 private:
  struct Caller {
    Duration used{};  // in this tick
    std::deque<Fn> waiting;
  };
  void TickBegins();
  void TickEnds();
  void Continue();
  void RunNow(Caller& caller, const Fn& fn);

  EventLoop& loop_;
  std::unordered_map<const void*, Caller> callers_;  // those that wait, or have used something in this tick
  std::deque<const void*> order_;                    // those that wait
  size_t waiting_ = 0;
  Duration used_{};  // in this tick
  bool in_tick_ = false, posted_ = false;
  Lifetime lifetime_;
};

}  // namespace kfs

// A thread's event loop, and through it all that a program has from its machine but disks: time, sockets,
// randomness, other threads. Everything that belongs to a loop runs on the thread that calls Run(): sockets,
// timers, posted functions. Asio's io_context does the work and stays out of this header; in a simulation
// another implementation does it, in virtual time (rpc/event_loop_impl.h).
//
// Wake-ups are what costs, so work is done by the tick: all handlers that are ready run first, then the
// functions given to AtTickEnd() run once; that is where answers leave and batches commit. A function run at
// the tick's end may ask for another round of the same tick's end.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/entropy.h"

namespace kfs {

class Network;
class Workers;

class EventLoop {
 public:
  struct Impl;
  EventLoop();  // of this machine: Asio, its clocks, its sockets
  explicit EventLoop(std::shared_ptr<Impl> impl);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs until Stop(). The calling thread becomes the loop's thread.
  void Run();
  // Any thread. Run returns after the current tick.
  void Stop();
  // Any thread: runs `fn` on the loop's thread, later. Functions posted from one thread run in order.
  void Post(std::function<void()> fn);
  // Loop's thread only: runs `fn` once at the end of the current tick.
  void AtTickEnd(std::function<void()> fn);
  bool InLoopThread() const;

  // When this tick began, or close to it: one look at the clock a tick. For time-outs and figures; what lets
  // something go out of force (a ticket, a term) asks clock().BootMs() afresh, last before it takes effect: a
  // process can be stopped in mid-tick. Loop's thread only.
  MonoTime Now();
  // Any thread.
  Clock& clock();
  Entropy& entropy();
  // How this machine reaches others.
  Network& network();
  // Any thread. What is told to others of where this runs: the machine's name, and memory that the process
  // takes, in bytes.
  std::string HostName();
  uint64_t ResidentBytes();
  // Threads for what may block: `at_once` of them, shown as `name` (at most 15 characters) by top -H.
  std::unique_ptr<Workers> StartWorkers(const char* name, int at_once);

  // A one-shot or periodic timer; loop's thread only. Destruction cancels.
  class Timer {
   public:
    Timer() = default;
    Timer(Timer&&) noexcept;
    Timer& operator=(Timer&&) noexcept;
    ~Timer();
    void Cancel();
    bool active() const;

    // What an implementation keeps of a timer.
    class State {
     public:
      virtual ~State() = default;
      virtual void Cancel() = 0;  // it will not run any more
      virtual bool active() const = 0;
    };

   private:
    friend class EventLoop;
    std::shared_ptr<State> state_;
  };
  [[nodiscard]] Timer RunAfter(Duration delay, std::function<void()> fn);
  [[nodiscard]] Timer RunEvery(Duration period, std::function<void()> fn);

  // Calls `fn` whenever `fd` (non-blocking, stays the caller's) is readable; again and again until the watch
  // is destroyed. REQUIRES: a loop of this machine.
  class Watch {
   public:
    virtual ~Watch() = default;
  };
  [[nodiscard]] std::unique_ptr<Watch> WatchReadable(int fd, std::function<void()> fn);

  // For the .cc files of rpc/ and who writes another implementation.
  Impl& impl() { return *impl_; }
  // For a thread that may still be posting when the loop goes: what it posts then is never run.
  std::shared_ptr<Impl> shared_impl() { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

// A loop on a thread of its own, stopped and joined by the destructor.
class LoopThread {
 public:
  explicit LoopThread(const char* name);  // at most 15 characters, shown by top -H
  ~LoopThread();
  EventLoop& loop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kfs

// A thread's event loop. Everything that belongs to a loop runs on the thread that calls Run(): sockets,
// timers, posted functions. Asio's io_context does the work and stays out of this header.
//
// Wake-ups are what costs, so work is done by the tick: all handlers that are ready run first, then the
// functions given to AtTickEnd() run once; that is where answers leave and batches commit. A function run at
// the tick's end may ask for another round of the same tick's end.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "common/clock.h"

namespace kfs {

class EventLoop {
 public:
  EventLoop();
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

  // A one-shot or periodic timer; loop's thread only. Destruction cancels.
  class Timer {
   public:
    Timer() = default;
    Timer(Timer&&) noexcept;
    Timer& operator=(Timer&&) noexcept;
    ~Timer();
    void Cancel();
    bool active() const;

   private:
    friend class EventLoop;
    struct State;
    std::shared_ptr<State> state_;
  };
  [[nodiscard]] Timer RunAfter(Duration delay, std::function<void()> fn);
  [[nodiscard]] Timer RunEvery(Duration period, std::function<void()> fn);

  // Calls `fn` whenever `fd` (non-blocking, stays the caller's) is readable; again and again until the watch
  // is destroyed.
  class Watch {
   public:
    virtual ~Watch() = default;
  };
  [[nodiscard]] std::unique_ptr<Watch> WatchReadable(int fd, std::function<void()> fn);

  // The asio::io_context, for the .cc files of rpc/ only.
  struct Impl;
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

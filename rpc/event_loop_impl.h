// What an EventLoop is made of. The loop of a program is rpc/asio_loop.cc; a simulation has its own, in which
// time is virtual, and nothing else happens while a function runs (tests/sim/world/).
#pragma once

#include <atomic>
#include <memory>

#include "rpc/event_loop.h"

namespace kfs {

// Each method as EventLoop says of the one that has its name.
struct EventLoop::Impl : std::enable_shared_from_this<EventLoop::Impl> {
  virtual ~Impl() = default;
  virtual void Run() = 0;
  virtual void Stop() = 0;
  virtual void Post(std::function<void()> fn) = 0;
  virtual void AtTickEnd(std::function<void()> fn) = 0;
  virtual bool InLoopThread() const = 0;
  virtual MonoTime Now() = 0;
  virtual Clock& clock() = 0;
  virtual Entropy& entropy() = 0;
  virtual Network& network() = 0;
  virtual std::string HostName() = 0;
  virtual uint64_t ResidentBytes() = 0;
  virtual std::unique_ptr<Workers> StartWorkers(const char* name, int at_once) = 0;
  // `period` zero: it runs once.
  virtual std::shared_ptr<Timer::State> StartTimer(Duration delay, Duration period,
                                                   std::function<void()> fn) = 0;
  virtual std::unique_ptr<Watch> WatchReadable(int fd, std::function<void()> fn) = 0;

  // Bytes that all connections of the loop keep for their peers (Connection::Impl::kept). A connection may
  // outlive the loop, and may end on another thread.
  const std::shared_ptr<std::atomic<size_t>> kept_for_peers = std::make_shared<std::atomic<size_t>>(0);
};

}  // namespace kfs

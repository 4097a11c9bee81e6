// Machines of a simulated world, and what runs on them (see world.h).
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/entropy.h"
#include "rpc/event_loop.h"
#include "tests/sim/world/world.h"

namespace kfs::sim {

class SimListener;
class Pipe;

// A machine. Its clocks run at a speed of their own.
class Host {
 public:
  Host(World& world, std::string name);

  // Begins a process; what it is to run is made by the caller, on its loop, and let go of when it has been
  // killed.
  std::shared_ptr<Process> Start(const std::string& what);
  // Power: all processes are killed, and no connection ends with a word.
  void Lose();

  World& world;
  const std::string name;  // an address without a port: "10.0.0.1"
  const double speed;      // of its clocks
  TimeNs wall_offset = 0;  // what is added to a wall clock that is right
  Nanos suspended = 0;     // that its boot clock has seen, and its monotonic one has not
  std::map<std::string, SimListener*> listeners;  // by "host:port"
  int next_port = 40000;

 private:
  std::vector<std::weak_ptr<Process>> processes_;
};

class Process : public std::enable_shared_from_this<Process> {
 public:
  Process(std::shared_ptr<Host> host, std::string what);
  ~Process();

  EventLoop& loop() { return *loop_; }
  World& world() const { return host_->world; }
  Host& host() const { return *host_; }
  bool alive() const { return alive_; }

  // ---- what happens to it
  // It stands still for that long, from the end of its present tick on.
  void Stop(Nanos how_long);
  // Nothing of it runs any more, nothing that it does has an effect, and its connections end. Then `what` is
  // let go of: the objects that ran on its loop.
  void Kill();
  // With the machine: the other ends of its connections hear nothing.
  void Vanish();

  // ---- for the loop, the clocks, the network and the disks of a process
  // Its own time: the world's, or in mid-tick that and what the tick has taken so far.
  Nanos Time() const;
  // Something was done that takes time, and at which it may be stopped.
  void Costs(Nanos least);
  Nanos BusyUntil() const { return busy_until_; }
  void RunEvent(const std::function<void()>& fn);
  void AtTickEnd(std::function<void()> fn) { tick_end_.push_back(std::move(fn)); }
  std::shared_ptr<Pipe> Track(std::shared_ptr<Pipe> pipe);

 private:
  void End(bool with_a_word);
  void EndTick();

  const std::shared_ptr<Host> host_;
  const std::string what_;
  std::unique_ptr<EventLoop> loop_;
  bool alive_ = true, in_tick_ = false;
  Nanos tick_took_ = 0, busy_until_ = 0;
  std::vector<std::function<void()>> tick_end_;
  bool ending_tick_ = false;  // an event will
  std::vector<std::weak_ptr<Pipe>> pipes_;
};

}  // namespace kfs::sim

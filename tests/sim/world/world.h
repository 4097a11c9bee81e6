// A world in one thread: machines with clocks, disks and a network, and processes on them that run KFS's own
// code on loops in virtual time. What happens, and when, is drawn from one seed; the same seed gives the same
// world, event for event (Hash).
//
//   World      virtual time, the events, randomness, the network between hosts
//   Host       a machine: its clocks (which drift) and what runs on it
//   Process    a loop, and what belongs to it; can be stopped in mid-tick, go on, or be killed
//
// A function of a process runs at once in real time, but takes virtual time: each look at a clock, each write
// to a disk or a connection costs a little, and now and then much (the process was stopped just there). What
// it sends leaves when its own time has come that far, so that no other process can tell the difference.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/clock.h"

namespace kfs::sim {

class Process;
class Host;

using Nanos = int64_t;  // since the world began
constexpr Nanos kMicro = 1000, kMilli = 1000 * kMicro, kSecond = 1000 * kMilli;

// What may go wrong, and how often. All zero: a quiet world.
struct Mishaps {
  double stop_chance = 0;  // of a stop at a look at the clock, at a write
  Nanos stop_max = 40 * kSecond;
  Nanos latency_min = 20 * kMicro, latency_max = 300 * kMicro;
  double slow_chance = 0;  // of a chunk of bytes that takes up to slow_max
  Nanos slow_max = 500 * kMilli;
  double cut_chance = 0;  // of a connection that ends, for each chunk of bytes
  double drift_max = 0;   // of a clock's speed: 0.001 is a thousandth
};

class World {
 public:
  explicit World(uint64_t seed, Mishaps mishaps = {});
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // ---- time and events
  Nanos now() const { return now_; }
  // `process` null: of the world itself. An event of a process waits while it is stopped, and is dropped when
  // it has been killed.
  void At(Nanos when, const std::shared_ptr<Process>& process, std::function<void()> fn);
  // All that was to happen to a process is forgotten.
  void Drop(const Process& process);
  // False: nothing is left to happen.
  bool Step();
  void RunUntil(Nanos when);
  // Until `what` holds; false: it did not within `patience`.
  bool RunUntil(const std::function<bool()>& what, Nanos patience);

  // ---- chance, all from the seed
  uint64_t Draw() { return random_(); }
  Nanos Between(Nanos from, Nanos to);
  bool Chance(double p);

  // ---- what has happened, as a number: of two runs of one seed the same
  void Note(uint64_t what);
  void Note(const std::string& what);
  uint64_t Hash() const { return hash_; }
  uint64_t events() const { return events_; }

  // ---- the network
  // Between two hosts, in both directions: connections break off without a word, and none are made.
  void Cut(const std::string& a, const std::string& b, bool cut);
  bool Reaches(const std::string& a, const std::string& b) const;

  std::shared_ptr<Host> AddHost(const std::string& name);
  const std::map<std::string, std::shared_ptr<Host>>& hosts() const { return hosts_; }

  Mishaps mishaps;
  // Connections that ended without order, between these hosts.
  struct Broken {
    Nanos at;
    std::string a, b;
  };
  std::vector<Broken> broken;

 private:
  struct Event {
    Nanos when;
    uint64_t number;
    std::shared_ptr<Process> process;  // null: of the world
    std::function<void()> fn;
  };
  struct Later {
    bool operator()(const std::unique_ptr<Event>& a, const std::unique_ptr<Event>& b) const {
      return a->when != b->when ? a->when > b->when : a->number > b->number;
    }
  };

  void Push(std::unique_ptr<Event> event);
  std::unique_ptr<Event> Pop();

  std::mt19937_64 random_;
  Nanos now_ = 0;
  uint64_t next_number_ = 0, events_ = 0, hash_ = 14695981039346656037u;
  std::vector<std::unique_ptr<Event>> queue_;  // a heap
  std::map<std::string, std::shared_ptr<Host>> hosts_;
  std::map<std::pair<std::string, std::string>, bool> cuts_;
};

}  // namespace kfs::sim

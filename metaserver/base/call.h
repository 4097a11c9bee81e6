// A client's request under way, from its arrival to its one answer. The executor does not know where answers
// go: a connection, or a test. Loop's thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/status.h"
#include "proto/ops.h"

namespace kfs::meta {

struct Session;
class WantedRecords;

// How far an op has come that is run in steps: what its next run goes on from. A run changes a copy, which
// takes its place when the run counts.
struct Progress {
  // Of an op on many chunks: where the next step begins, and up to where what lies behind the file's end
  // reads as zeros by now.
  uint64_t done_to = 0, zeroed_to = 0;
  // Fallocate: space has been asked for, the answers of the chunkservers count now; up to where it has been
  // found to be there; how often it was found taken away; what to answer once the rest is given back.
  bool reserving = false;
  uint64_t looked_to = 0;
  int restarts = 0;
  Status failed;
  bool append_waited = false;  // CommitWrite: the same of an append that was under way
  bool drained = false;        // flock holders have been asked to send their releases
  bool fence_waited = false;   // CommitWrite: its data may have been written over by one who is fenced now
};

class OpCall {
 public:
  virtual ~OpCall() = default;
  virtual Op op() const = 0;
  virtual std::string_view body() const = 0;
  // Exactly one of these, once, after the tick's commit.
  virtual void Reply(std::string_view body) = 0;
  virtual void Fail(const Status& status, uint64_t detail) = 0;
  // It waits for others from here on.
  virtual void Parked() {}
  // It takes the place of its first arrival, which was waiting.
  void TakeOver(const OpCall& earlier) { progress = earlier.progress; }

  std::shared_ptr<Session> session;
  uint64_t op_id = 0;       // 0: changes nothing
  uint8_t lane = 0;         // of the session: whose connection it came on
  uint64_t connection = 0;  // which of the lane's (Lane::connection_number)
  MonoTime arrived{};
  uint64_t trace_id = 0;                  // of clients that say it in the request
  uint32_t trace = 0;                     // of the frame; 0: none
  std::shared_ptr<WantedRecords> wanted;  // that were not in memory; null: none
  int cold_again = 0;                     // runs that came no further for them
  Progress progress;
};
using CallPtr = std::shared_ptr<OpCall>;

// A call that waits: for a lock, a mutation, its turn to append. The same op sent again after a reconnect
// takes the place of the first arrival, so that it is executed once and answered where somebody listens.
struct Parked {
  // `counts`: of the session, and of all; they go up by what the call keeps in memory while it waits.
  using Counts = std::pair<std::shared_ptr<size_t>, std::shared_ptr<size_t>>;
  Parked(CallPtr c, std::string what, Counts to, uint64_t n)
      : number(n), call(std::move(c)), waits_for(std::move(what)), counts(std::move(to)) {
    Weigh(WeightOf(*call));
  }
  ~Parked() { Weigh(0); }
  Parked(const Parked&) = delete;
  Parked& operator=(const Parked&) = delete;

  // A call, and this, with what leads to them; and what the client sent.
  static size_t WeightOf(const OpCall& call) { return 512 + call.body().size(); }
  void Weigh(size_t now) {
    *counts.first += now - bytes;
    *counts.second += now - bytes;
    bytes = now;
  }

  const uint64_t number;  // in the order in which they began to wait
  CallPtr call;           // null: cancelled
  std::string waits_for;  // for a person
  bool decided = false;   // of a lock: granted or refused, the answer waits for its turn
  const Counts counts;
  size_t bytes = 0;
};
using ParkedPtr = std::shared_ptr<Parked>;
struct LongestFirst {
  bool operator()(const ParkedPtr& a, const ParkedPtr& b) const { return a->number < b->number; }
};
using ParkedSet = std::set<ParkedPtr, LongestFirst>;

// Those that wait for the same. What is cancelled meanwhile goes when they have become twice as many.
class Waiters {
 public:
  void Add(ParkedPtr parked) {
    if (parked_.size() >= looked_at_) {
      std::erase_if(parked_, [](const ParkedPtr& p) { return p->call == nullptr; });
      looked_at_ = 2 * parked_.size() + 64;
    }
    parked_.push_back(std::move(parked));
  }
  std::vector<ParkedPtr> Take() { return std::exchange(parked_, {}); }
  bool empty() const { return parked_.empty(); }

 private:
  std::vector<ParkedPtr> parked_;
  size_t looked_at_ = 64;
};

}  // namespace kfs::meta

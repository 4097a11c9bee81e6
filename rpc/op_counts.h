// Counts the requests that a program serves, by op: how many, how long they took, how many failed. Shared by
// all that serves requests in the program, on connections that others open and on its own. Counted on the
// loop's thread; Show, ForEach and malformed are for any.
//
// A request's time is that from the beginning of the tick in which it arrived to the end of that in which it
// was answered, when the answer leaves. The clock is read once a tick for all requests answered in it: they
// are told apart by no less than a tick, some ten microseconds on an idle loop.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "proto/ops.h"
#include "rpc/event_loop.h"
#include "rpc/metrics.h"

namespace kfs {

struct OpStats {
  LatencyHistogram seconds;  // of all that were answered
  Counter errors, malformed;
};

class OpCounts : public std::enable_shared_from_this<OpCounts> {
 public:
  explicit OpCounts(EventLoop& loop) : loop_(loop) {}
  ~OpCounts();
  OpCounts(const OpCounts&) = delete;
  OpCounts& operator=(const OpCounts&) = delete;

  // Stays where it is. The first request of an op makes it; null: there is no such op.
  OpStats* Of(Op op);
  void Answered(OpStats& of, MonoTime arrived, bool ok);
  uint64_t malformed() const;

  struct Families {
    MetricFamily seconds, errors;
  };
  void Show(const Families& families, MetricsPage& page) const;
  template <typename Fn>  // fn(Op, const OpStats&)
  void ForEach(Fn fn) const {
    for (size_t i = 0; i < by_number_.size(); ++i) {
      if (const OpStats* stats = by_number_[i].load(std::memory_order_acquire))
        fn(static_cast<Op>(i), *stats);
    }
  }

 private:
  void TickEnded();

  EventLoop& loop_;
  std::array<std::atomic<OpStats*>, kOpNumbers> by_number_{};  // null: none has come yet
  struct Ended {
    OpStats* of;
    MonoTime arrived;
  };
  std::vector<Ended> ended_;  // in this tick
};

}  // namespace kfs

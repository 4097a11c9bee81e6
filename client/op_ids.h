// Idempotency ids of one mount, and the watermark that lets the metaserver forget old answers (P3).
// An id is handed out when an op is first put on the wire's queue and stays with it through all resends.
// Worker's thread only. Never fails; memory is bounded by the ops in flight.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

namespace kfs {

class OpIds {
 public:
  uint64_t Next();
  // The answer of `id` is here, or will never be asked for again. REQUIRES: given by Next, not yet answered.
  void Answered(uint64_t id);
  // Largest id such that it and all before it are answered.
  uint64_t acked() const { return acked_; }
  // The last id handed out, 0 before the first.
  uint64_t last() const { return next_ - 1; }
  uint64_t unanswered() const { return unanswered_; }
  // The ids after the watermark whose answers are still to come, in order.
  std::vector<uint64_t> Unanswered() const;

 private:
  uint64_t next_ = 1;
  uint64_t acked_ = 0;
  uint64_t unanswered_ = 0;
  std::deque<bool> answered_;  // [i]: id acked_ + 1 + i
};

}  // namespace kfs

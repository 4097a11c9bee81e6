#include "client/op_ids.h"

#include <cassert>

namespace kfs {

uint64_t OpIds::Next() {
  answered_.push_back(false);
  ++unanswered_;
  return next_++;
}

void OpIds::Answered(uint64_t id) {
  assert(id > acked_ && id < next_ && !answered_[id - acked_ - 1]);
  answered_[id - acked_ - 1] = true;
  --unanswered_;
  while (!answered_.empty() && answered_.front()) {
    answered_.pop_front();
    ++acked_;
  }
}

}  // namespace kfs

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

std::vector<uint64_t> OpIds::Unanswered() const {
  std::vector<uint64_t> ids;
  ids.reserve(unanswered_);
  for (size_t i = 0; i < answered_.size(); ++i) {
    if (!answered_[i]) ids.push_back(acked_ + 1 + i);
  }
  return ids;
}

}  // namespace kfs

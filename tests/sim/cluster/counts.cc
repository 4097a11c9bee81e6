#include "tests/sim/cluster/counts.h"

#include <fmt/format.h>

#include <cstring>

#include "common/reached.h"

namespace kfs::sim {
namespace {

std::string EndOf(Call call, int err) {
  return fmt::format("call.{}: {}", NameOf(call), err == 0 ? "well" : strerrorname_np(err));
}

}  // namespace

Counts::Counts() {
  for (int i = 0; i <= static_cast<int>(kLastCall); ++i) {
    for (int err : EndsOf(static_cast<Call>(i))) ends_[EndOf(static_cast<Call>(i), err)] = 0;
  }
}

void Counts::Take(const History& history) {
  for (const Step& step : history.steps) {
    if (step.ended != kNever) ++ends_[EndOf(step.call, step.err)];
  }
}

std::map<std::string, uint64_t> Counts::All() const {
  std::map<std::string, uint64_t> all = ReachedPoints();
  all.insert(ends_.begin(), ends_.end());
  return all;
}

}  // namespace kfs::sim

#include "rpc/op_counts.h"

namespace kfs {
namespace {

// Answered in one tick and kept until its end; with more the clock is read in between.
constexpr size_t kEndedMax = 4096;

}  // namespace

OpCounts::~OpCounts() {
  for (auto& slot : by_number_) delete slot.load();
}

OpStats* OpCounts::Of(Op op) {
  if (FindOp(static_cast<uint16_t>(op)) == nullptr) return nullptr;
  auto& slot = by_number_[static_cast<size_t>(op)];
  OpStats* stats = slot.load(std::memory_order_relaxed);
  if (stats == nullptr) slot.store(stats = new OpStats, std::memory_order_release);
  return stats;
}

void OpCounts::Answered(OpStats& of, MonoTime arrived, bool ok) {
  if (!ok) of.errors.Add();
  if (ended_.empty()) {
    loop_.AtTickEnd([self = weak_from_this()] {
      if (auto counts = self.lock()) counts->TickEnded();
    });
  }
  ended_.push_back({&of, arrived});
  if (ended_.size() == kEndedMax) TickEnded();
}

void OpCounts::TickEnded() {
  if (ended_.empty()) return;
  const MonoTime now = loop_.clock().MonoNow();
  for (const Ended& e : ended_) e.of->seconds.Observe(now - e.arrived);
  ended_.clear();
}

uint64_t OpCounts::malformed() const {
  uint64_t n = 0;
  ForEach([&](Op, const OpStats& stats) { n += stats.malformed.value(); });
  return n;
}

void OpCounts::Show(const Families& families, MetricsPage& page) const {
  ForEach([&](Op op, const OpStats& stats) {
    const MetricLabels labels = {{"op", std::string(OpName(op))}};
    page.Add(families.seconds, stats.seconds, labels);
    page.Add(families.errors, stats.errors.value(), labels);
  });
}

}  // namespace kfs

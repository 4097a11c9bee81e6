#include "client/client_metrics.h"

#include <map>
#include <string>

#include "client/kfs_op.h"

namespace kfs {
namespace {

constexpr MetricFamily kCallSeconds{MetricType::kHistogram, "kfs_client_call_seconds",
                                    "Time of a call, from its beginning to its end"};
constexpr MetricFamily kCallErrors{MetricType::kCounter, "kfs_client_call_errors_total",
                                   "Calls that ended with an error; a name that is not there is one, too"};
constexpr MetricFamily kStageSeconds{
    MetricType::kHistogram, "kfs_client_stage_seconds",
    "Where that time went: queue (until the client's thread has it), send (until its last request leaves), "
    "server (until that is answered), finish"};
constexpr MetricFamily kRetries{MetricType::kCounter, "kfs_client_retries_total",
                                "Requests made again because a server could not serve them yet"};
constexpr MetricFamily kReconnects{MetricType::kCounter, "kfs_client_reconnects_total",
                                   "Sessions taken up again on a new connection"};
constexpr MetricFamily kInFlight{MetricType::kGauge, "kfs_client_calls_in_flight", "Calls under way"};

constexpr OpCounts::Families kServed{
    .seconds = {MetricType::kHistogram, "kfs_client_served_seconds",
                "Time of what servers asked of the mount, from arrival to answer"},
    .errors = {MetricType::kCounter, "kfs_client_served_errors_total", "Requests of servers that failed"}};

constexpr std::array<const char*, 4> kStageNames = {"queue", "send", "server", "finish"};

}  // namespace

struct ClientMetrics::Call {
  const std::string name;
  LatencyHistogram seconds;
  Counter errors;
};

ClientMetrics::ClientMetrics() = default;
ClientMetrics::~ClientMetrics() {
  for (auto& slot : calls_) delete slot.load();
}

// Null: there are more names than anybody has thought of.
ClientMetrics::Call* ClientMetrics::Of(std::string_view name) {
  size_t at = name.size() * 31 + static_cast<unsigned char>(name.front()) * 7u +
              static_cast<unsigned char>(name.back());
  for (size_t i = 0; i < kCallsMax; ++i, ++at) {
    auto& slot = calls_[at % kCallsMax];
    Call* call = slot.load(std::memory_order_relaxed);
    if (call == nullptr) {
      call = new Call{.name = std::string(name)};
      slot.store(call, std::memory_order_release);
    }
    if (call->name == name) return call;
  }
  return nullptr;
}

void ClientMetrics::Ended(const KfsOp& op) {
  if (!op.status().ok()) errors_.Add();
  if (Call* call = Of(op.name())) {
    call->seconds.Observe(op.stamp(KfsOp::kDone) - op.stamp(KfsOp::kQueued));
    if (!op.status().ok()) call->errors.Add();
  }
  MonoTime before = op.stamp(KfsOp::kQueued);
  for (size_t i = 0; i < stages_.size(); ++i) {
    const MonoTime at = op.stamp(static_cast<KfsOp::Stage>(i + 1));
    if (at == MonoTime{}) continue;  // not reached
    stages_[i].Observe(at - before);
    before = std::max(before, at);
  }
}

uint64_t ClientMetrics::calls() const { return stages_.back().count(); }

void ClientMetrics::Show(MetricsPage& page, size_t in_flight, const OpCounts& served) const {
  std::map<std::string_view, const Call*> by_name;
  for (const auto& slot : calls_) {
    if (const Call* call = slot.load(std::memory_order_acquire)) by_name[call->name] = call;
  }
  for (const auto& [name, call] : by_name) {
    const MetricLabels labels = {{"call", std::string(name)}};
    page.Add(kCallSeconds, call->seconds, labels);
    page.Add(kCallErrors, call->errors.value(), labels);
  }
  for (size_t i = 0; i < stages_.size(); ++i)
    page.Add(kStageSeconds, stages_[i], {{"stage", kStageNames[i]}});
  page.Add(kRetries, retries.value());
  page.Add(kReconnects, reconnects.value());
  page.Add(kInFlight, uint64_t{in_flight});
  served.Show(kServed, page);
}

}  // namespace kfs

// What the client library counts: each call's time, by its name, and where that went. Counted on the worker's
// thread, read by any (rpc/metrics.h).
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string_view>

#include "rpc/metrics.h"
#include "rpc/op_counts.h"

namespace kfs {

class KfsOp;

class ClientMetrics {
 public:
  ClientMetrics();
  ~ClientMetrics();
  ClientMetrics(const ClientMetrics&) = delete;
  ClientMetrics& operator=(const ClientMetrics&) = delete;

  // Worker's thread: a call has ended, and has its stamps.
  void Ended(const KfsOp& op);
  Counter retries, reconnects;
  uint64_t calls() const;
  uint64_t errors() const { return errors_.value(); }

  // Any thread.
  // `served`: what servers have asked.
  void Show(MetricsPage& page, size_t in_flight, const OpCounts& served) const;

 private:
  struct Call;
  static constexpr size_t kCallsMax = 128;  // names of calls; there are some fifty
  Call* Of(std::string_view name);

  // Open addressing; what is there once stays. Written by the worker's thread.
  std::array<std::atomic<Call*>, kCallsMax> calls_{};
  Counter errors_;
  // What was before each stage, but the first.
  std::array<LatencyHistogram, 4> stages_;
};

}  // namespace kfs

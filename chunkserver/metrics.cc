#include "chunkserver/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <array>

#include "chunkserver/access_gate.h"
#include "chunkserver/chunk_store.h"
#include "common/allocator.h"
#include "common/event_counts.h"
#include "rpc/stall.h"

namespace kfs {
namespace {

constexpr std::array kOps = {Op::kChunkRead,   Op::kChunkWrite,   Op::kChunkSync, Op::kChunkSeek,
                             Op::kMutateChunk, Op::kDeleteChunks, Op::kQueryDisks};

}  // namespace

struct ChunkMetrics::Impl {
  struct PerOp {
    prometheus::Histogram* seconds;
    prometheus::Counter *errors, *bytes;
  };
  prometheus::Gauge& Gauge(const char* name, const char* help, const prometheus::Labels& labels = {}) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(*registry).Add(labels);
  }

  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  std::array<PerOp, kOps.size()> ops{};
  prometheus::Counter *stalls = nullptr, *stall_seconds = nullptr;
  std::unique_ptr<prometheus::Exposer> exposer;
};

ChunkMetrics::ChunkMetrics() : impl_(std::make_unique<Impl>()) {
  auto& seconds = prometheus::BuildHistogram()
                      .Name("kfs_chunk_op_seconds")
                      .Help("Time to serve an op")
                      .Register(*impl_->registry);
  auto& errors = prometheus::BuildCounter()
                     .Name("kfs_chunk_op_errors_total")
                     .Help("Ops that failed")
                     .Register(*impl_->registry);
  auto& bytes = prometheus::BuildCounter()
                    .Name("kfs_chunk_op_bytes_total")
                    .Help("Bytes read or written")
                    .Register(*impl_->registry);
  impl_->stalls = &prometheus::BuildCounter()
                       .Name("kfs_loop_stalls_total")
                       .Help("Ticks of an event loop over 50 ms")
                       .Register(*impl_->registry)
                       .Add({});
  impl_->stall_seconds = &prometheus::BuildCounter()
                              .Name("kfs_loop_stall_seconds_total")
                              .Help("Time of the ticks over 50 ms")
                              .Register(*impl_->registry)
                              .Add({});
  const prometheus::Histogram::BucketBoundaries buckets{1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2,
                                                        3e-2, 1e-1, 3e-1, 1,    3,    10};
  for (size_t i = 0; i < kOps.size(); ++i) {
    const prometheus::Labels labels{{"op", std::string(OpName(kOps[i]))}};
    impl_->ops[i] = {&seconds.Add(labels, buckets), &errors.Add(labels), &bytes.Add(labels)};
  }
}

ChunkMetrics::~ChunkMetrics() = default;

Status ChunkMetrics::Listen(const std::string& address) {
  try {
    impl_->exposer = std::make_unique<prometheus::Exposer>(address, 1);
    impl_->exposer->RegisterCollectable(impl_->registry);
  } catch (const std::exception& e) {
    return Status(EADDRINUSE, "metrics-listen " + address + ": " + e.what());
  }
  return {};
}

void ChunkMetrics::Count(Op op, const Status& status, Duration took, uint64_t bytes) {
  for (size_t i = 0; i < kOps.size(); ++i) {
    if (kOps[i] != op) continue;
    impl_->ops[i].seconds->Observe(std::chrono::duration<double>(took).count());
    if (!status.ok()) impl_->ops[i].errors->Increment();
    if (bytes != 0) impl_->ops[i].bytes->Increment(static_cast<double>(bytes));
  }
}

void ChunkMetrics::Update(const ChunkStore& store, size_t waiting, const AccessGate& gate) {
  auto set = [this](const char* name, const char* help, uint64_t value,
                    const prometheus::Labels& labels = {}) {
    impl_->Gauge(name, help, labels).Set(static_cast<double>(value));
  };
  for (const auto& disk : store.disks()) {
    const prometheus::Labels labels{{"disk", disk->path()}};
    set("kfs_chunk_disk_capacity_bytes", "Size of the disk", disk->space().capacity, labels);
    set("kfs_chunk_disk_available_bytes", "Room for new data", disk->space().available, labels);
    set("kfs_chunk_disk_chunks", "Chunks on the disk", static_cast<uint64_t>(disk->chunks), labels);
    set("kfs_chunk_disk_garbage_chunks", "Deleted chunks that can be had back", disk->bin().chunks(), labels);
    set("kfs_chunk_disk_garbage_bytes",
        "Room of the deleted chunks that can be had back; it is made as soon as it is needed",
        disk->bin().bytes(), labels);
    set("kfs_chunk_disk_set_aside", "Data files that have lost their header", disk->bin().set_aside(),
        labels);
    set("kfs_chunk_disk_healthy", "1: the disk is in order, 0: sick", disk->healthy() ? 1 : 0, labels);
  }
  const auto stats = store.stats();
  set("kfs_chunk_corrupt_blocks", "Blocks refused because of their checksum", store.counters().corrupt);
  set("kfs_chunk_settled_blocks", "Interrupted writes settled", store.counters().resolved);
  set("kfs_chunk_power_loss_blocks", "Checksums recomputed after a power cut", store.counters().power_loss);
  set("kfs_chunk_open_chunks", "Chunks held open", stats.open_chunks);
  set("kfs_chunk_cache_bytes", "Memory of open chunks", stats.cache_bytes);
  set("kfs_chunk_evictions", "Chunks closed to stay within the limits", stats.evictions);
  set("kfs_chunk_dirty_chunks", "Chunks not yet marked clean", stats.dirty_chunks);
  set("kfs_chunk_syncfs_runs", "Background syncs", stats.syncfs_runs);
  set("kfs_chunk_syncfs_failures", "Background syncs that failed", stats.syncfs_failures);
  set("kfs_chunk_taken_back", "Chunks asked for after they had been deleted", stats.taken_back);
  set("kfs_chunk_io_waiting", "Ops waiting for or using a disk", waiting);
  for (const EventCount& e : LoggedEvents()) {
    prometheus::Counter& counter = prometheus::BuildCounter()
                                       .Name("kfs_log_events_total")
                                       .Help("Warnings and worse in the log, by event")
                                       .Register(*impl_->registry)
                                       .Add({{"event", e.event}, {"level", e.level}});
    counter.Increment(std::max(0.0, static_cast<double>(e.count) - counter.Value()));
  }
  auto count = [](prometheus::Counter& counter, double value) { counter.Increment(value - counter.Value()); };
  count(*impl_->stalls, static_cast<double>(LoopStalls()));
  count(*impl_->stall_seconds, static_cast<double>(LoopStallMicros()) / 1e6);
  const char* refused = "Accesses refused because of their token, by reason";
  set("kfs_chunk_tokens_refused", refused, gate.counters().forged, {{"reason", "forged"}});
  set("kfs_chunk_tokens_refused", refused, gate.counters().expired, {{"reason", "expired"}});
  set("kfs_chunk_tokens_refused", refused, gate.counters().fenced, {{"reason", "fenced"}});
  set("kfs_chunk_tokens_refused", refused, gate.counters().unknown_clock, {{"reason", "unknown_clock"}});
  set("kfs_chunk_fenced_sessions", "Sessions whose earlier tickets count no more", gate.fences());
  set("kfs_process_resident_bytes", "Resident memory of the process", ResidentBytes());
}

}  // namespace kfs

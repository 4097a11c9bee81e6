#include "chunkserver/metrics.h"

#include "chunkserver/access_gate.h"
#include "chunkserver/chunk_store.h"
#include "chunkserver/io_pool.h"
#include "rpc/server.h"

namespace kfs {
namespace {

constexpr auto kCounter = MetricType::kCounter;
constexpr auto kGauge = MetricType::kGauge;

constexpr OpCounts::Families kOps{
    .seconds = {MetricType::kHistogram, "kfs_chunk_op_seconds", "Time of an op, from arrival to answer"},
    .errors = {kCounter, "kfs_chunk_op_errors_total", "Ops that failed"}};
constexpr MetricFamily kOpBytes{kCounter, "kfs_chunk_op_bytes_total", "Bytes read or written"};
constexpr MetricFamily kBadFrames{kCounter, "kfs_chunk_bad_frames_total",
                                  "Connections ended for malformed input"};
constexpr MetricFamily kConnections{kGauge, "kfs_chunk_connections",
                                    "Connections that others have to this chunkserver"};
constexpr MetricFamily kIoWaiting{kGauge, "kfs_chunk_io_waiting", "Ops waiting for or using a disk"};

constexpr MetricFamily kCapacity{kGauge, "kfs_chunk_disk_capacity_bytes", "Size of the disk"};
constexpr MetricFamily kAvailable{kGauge, "kfs_chunk_disk_available_bytes", "Room for new data"};
constexpr MetricFamily kChunks{kGauge, "kfs_chunk_disk_chunks", "Chunks on the disk"};
constexpr MetricFamily kGarbageChunks{kGauge, "kfs_chunk_disk_garbage_chunks",
                                      "Deleted chunks that can be had back"};
constexpr MetricFamily kGarbageBytes{
    kGauge, "kfs_chunk_disk_garbage_bytes",
    "Room of the deleted chunks that can be had back; it is made as soon as it is needed"};
constexpr MetricFamily kSetAside{kGauge, "kfs_chunk_disk_set_aside",
                                 "Data files that have lost their header"};
constexpr MetricFamily kHealthy{kGauge, "kfs_chunk_disk_healthy", "1: the disk is in order, 0: sick"};

constexpr MetricFamily kCorrupt{kCounter, "kfs_chunk_corrupt_blocks_total",
                                "Blocks refused because of their checksum"};
constexpr MetricFamily kSettled{kCounter, "kfs_chunk_settled_blocks_total", "Interrupted writes settled"};
constexpr MetricFamily kPowerLoss{kCounter, "kfs_chunk_power_loss_blocks_total",
                                  "Checksums recomputed after a power cut"};
constexpr MetricFamily kOpenChunks{kGauge, "kfs_chunk_open_chunks", "Chunks held open"};
constexpr MetricFamily kCacheBytes{kGauge, "kfs_chunk_cache_bytes", "Memory of open chunks"};
constexpr MetricFamily kEvictions{kCounter, "kfs_chunk_evictions_total",
                                  "Chunks closed to stay within the limits"};
constexpr MetricFamily kDirty{kGauge, "kfs_chunk_dirty_chunks", "Chunks not yet marked clean"};
constexpr MetricFamily kSyncRuns{kCounter, "kfs_chunk_syncfs_runs_total", "Background syncs"};
constexpr MetricFamily kSyncFailures{kCounter, "kfs_chunk_syncfs_failures_total",
                                     "Background syncs that failed"};
constexpr MetricFamily kTakenBack{kCounter, "kfs_chunk_taken_back_total",
                                  "Chunks asked for after they had been deleted"};

constexpr MetricFamily kRefused{kCounter, "kfs_chunk_tokens_refused_total",
                                "Accesses refused because of their token, by reason"};
constexpr MetricFamily kFenced{kGauge, "kfs_chunk_fenced_sessions",
                               "Sessions whose earlier tickets count no more"};

void ShowServed(const ShownChunkserver& c, MetricsPage& page) {
  c.metrics->ops->Show(kOps, page);
  page.Add(kOpBytes, c.metrics->read_bytes.value(), {{"op", std::string(OpName(Op::kChunkRead))}});
  page.Add(kOpBytes, c.metrics->written_bytes.value(), {{"op", std::string(OpName(Op::kChunkWrite))}});
  page.Add(kBadFrames, c.server->bad_frames());
  page.Add(kConnections, uint64_t{c.server->connections().size()});
  page.Add(kIoWaiting, uint64_t{c.pool->waiting()});
}

void ShowDisks(const ChunkStore& store, MetricsPage& page) {
  for (const auto& disk : store.disks()) {
    const MetricLabels labels{{"disk", disk->path()}};
    page.Add(kCapacity, disk->space().capacity, labels);
    page.Add(kAvailable, disk->space().available, labels);
    page.Add(kChunks, static_cast<uint64_t>(disk->chunks), labels);
    page.Add(kGarbageChunks, uint64_t{disk->bin().chunks()}, labels);
    page.Add(kGarbageBytes, disk->bin().bytes(), labels);
    page.Add(kSetAside, uint64_t{disk->bin().set_aside()}, labels);
    page.Add(kHealthy, disk->healthy() ? 1.0 : 0.0, labels);
  }
}

void ShowStore(const ChunkStore& store, MetricsPage& page) {
  const auto stats = store.stats();
  page.Add(kCorrupt, uint64_t{store.counters().corrupt});
  page.Add(kSettled, uint64_t{store.counters().resolved});
  page.Add(kPowerLoss, uint64_t{store.counters().power_loss});
  page.Add(kOpenChunks, uint64_t{stats.open_chunks});
  page.Add(kCacheBytes, uint64_t{stats.cache_bytes});
  page.Add(kEvictions, stats.evictions);
  page.Add(kDirty, uint64_t{stats.dirty_chunks});
  page.Add(kSyncRuns, stats.syncfs_runs);
  page.Add(kSyncFailures, stats.syncfs_failures);
  page.Add(kTakenBack, stats.taken_back);
}

void ShowGate(const AccessGate& gate, MetricsPage& page) {
  page.Add(kRefused, uint64_t{gate.counters().forged}, {{"reason", "forged"}});
  page.Add(kRefused, uint64_t{gate.counters().expired}, {{"reason", "expired"}});
  page.Add(kRefused, uint64_t{gate.counters().fenced}, {{"reason", "fenced"}});
  page.Add(kRefused, uint64_t{gate.counters().unknown_clock}, {{"reason", "unknown_clock"}});
  page.Add(kFenced, uint64_t{gate.fences()});
}

}  // namespace

void ShowChunkserver(const ShownChunkserver& shown, Metrics& metrics) {
  metrics.Add([shown](MetricsPage& page) { ShowServed(shown, page); });
  metrics.Add([shown](MetricsPage& page) { ShowDisks(*shown.store, page); });
  metrics.Add([shown](MetricsPage& page) { ShowStore(*shown.store, page); });
  metrics.Add([shown](MetricsPage& page) { ShowGate(*shown.gate, page); });
}

}  // namespace kfs

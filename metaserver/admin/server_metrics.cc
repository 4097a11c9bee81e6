#include "metaserver/admin/server_metrics.h"

namespace kfs::meta {
namespace {

constexpr OpCounts::Families kOps{
    .seconds = {MetricType::kHistogram, "kfs_meta_op_seconds",
                "Time of the ops answered, from arrival to answer"},
    .errors = {MetricType::kCounter, "kfs_meta_op_errors_total", "Ops answered with an error"}};
// The histogram's count and sum, by the names that they had before there was one.
constexpr MetricFamily kOpsTotal{MetricType::kCounter, "kfs_meta_ops_total", "Ops answered"};
constexpr MetricFamily kOpSecondsTotal{MetricType::kCounter, "kfs_meta_op_seconds_total",
                                       "Time of these ops, from arrival to answer"};
constexpr MetricFamily kBadFrames{MetricType::kCounter, "kfs_meta_bad_frames_total",
                                  "Connections ended for malformed input"};
constexpr MetricFamily kConnections{MetricType::kGauge, "kfs_meta_connections",
                                    "Connections that others have to this metaserver"};

constexpr MetricFamily kColdRuns{MetricType::kCounter, "kfs_meta_cold_runs_total",
                                 "Ops that waited for records on disk"};
constexpr MetricFamily kReplays{MetricType::kCounter, "kfs_meta_replays_total", "Kept answers sent again"};
constexpr MetricFamily kDbMemory{MetricType::kGauge, "kfs_meta_db_memory_bytes",
                                 "Block cache and write buffers of all volumes' databases"};
constexpr MetricFamily kWaiting{MetricType::kGauge, "kfs_meta_waiting_ops",
                                "Ops that wait for a lock, a mutation or their turn"};

constexpr MetricFamily kSessions{MetricType::kGauge, "kfs_meta_sessions",
                                 "Sessions of the volume: mounts that it knows"};
constexpr MetricFamily kInodes{MetricType::kGauge, "kfs_meta_inodes", "Inodes in use"};
constexpr MetricFamily kCacheBytes{MetricType::kGauge, "kfs_meta_cache_bytes",
                                   "Decoded inodes and names in memory"};
constexpr MetricFamily kMutations{MetricType::kGauge, "kfs_meta_pending_mutations",
                                  "Chunk changes not yet acknowledged"};
constexpr MetricFamily kGarbage{MetricType::kGauge, "kfs_meta_garbage_chunks", "Chunks to be deleted"};
constexpr MetricFamily kOrphans{MetricType::kGauge, "kfs_meta_orphans_queued", "Nameless inodes being freed"};

}  // namespace

void ServerMetrics::Register(Metrics& metrics) const {
  metrics.Add([this](MetricsPage& page) { ShowServer(page); });
  metrics.Add([this](MetricsPage& page) { ShowVolumes(page); });
}

void ServerMetrics::ShowServer(MetricsPage& page) const {
  server_.counts()->Show(kOps, page);
  server_.counts()->ForEach([&](Op op, const OpStats& stats) {
    const MetricLabels labels = {{"op", std::string(OpName(op))}};
    page.Add(kOpsTotal, stats.seconds.count(), labels);
    page.Add(kOpSecondsTotal, static_cast<double>(stats.seconds.micros()) / 1e6, labels);
  });
  page.Add(kBadFrames, server_.bad_frames());
  page.Add(kConnections, uint64_t{server_.connections().size()});
  page.Add(kColdRuns, executor_.cold_runs());
  page.Add(kReplays, executor_.replays());
  page.Add(kDbMemory, uint64_t{memory_.used()});
  page.Add(kWaiting, executor_.parked_now());
}

void ServerMetrics::ShowVolumes(MetricsPage& page) const {
  for (const auto& [id, v] : executor_.volumes()) {
    const MetricLabels labels = {{"volume", v->info.name()}};
    page.Add(kSessions, static_cast<double>(v->mounts()), labels);
    page.Add(kInodes, static_cast<double>(v->store.counters().inodes()), labels);
    page.Add(kCacheBytes, static_cast<double>(v->store.cache_bytes()), labels);
    page.Add(kMutations, static_cast<double>(v->mutations.size()), labels);
    page.Add(kGarbage, static_cast<double>(v->garbage.size()), labels);
    page.Add(kOrphans, static_cast<double>(v->freeing.orphans()), labels);
  }
}

}  // namespace kfs::meta

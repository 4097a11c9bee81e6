// Metrics of what the metaserver does: ops, memory, connections, the volumes' records.
#include "common/allocator.h"
#include "metaserver/metaserver.h"
#include "rpc/stall.h"

namespace kfs::meta {

void MetaServer::UpdateMetrics() {
  std::vector<Sample> out;
  for (const auto& [number, stats] : server_->stats()) {
    std::string op(OpName(static_cast<Op>(number)));
    out.push_back(
        {"kfs_meta_ops_total", "Ops answered.", true, {{"op", op}}, static_cast<double>(stats->count)});
    out.push_back({"kfs_meta_op_errors_total",
                   "Ops answered with an error.",
                   true,
                   {{"op", op}},
                   static_cast<double>(stats->errors)});
    out.push_back({"kfs_meta_op_seconds_total",
                   "Time of these ops, from arrival to answer.",
                   true,
                   {{"op", op}},
                   static_cast<double>(stats->micros) / 1e6});
  }
  auto gauge = [&](const char* name, const char* help, double value) {
    out.push_back({name, help, false, {}, value});
  };
  auto counter = [&](const char* name, const char* help, double value) {
    out.push_back({name, help, true, {}, value});
  };
  counter("kfs_meta_bad_frames_total", "Connections ended for malformed input.",
          static_cast<double>(server_->bad_frames()));
  counter("kfs_loop_stalls_total", "Ticks of an event loop over 50 ms.", static_cast<double>(LoopStalls()));
  counter("kfs_loop_stall_seconds_total", "Time of the ticks over 50 ms.",
          static_cast<double>(LoopStallMicros()) / 1e6);
  counter("kfs_meta_cold_runs_total", "Ops that waited for records on disk.",
          static_cast<double>(executor_->cold_runs()));
  counter("kfs_meta_replays_total", "Kept answers sent again.", static_cast<double>(executor_->replays()));
  gauge("kfs_meta_rss_bytes", "Resident memory of the process.", static_cast<double>(ResidentBytes()));
  gauge("kfs_meta_db_memory_bytes", "Block cache and write buffers of all volumes' databases.",
        static_cast<double>(memory_->used()));
  gauge("kfs_meta_connections", "Connections that others have to this metaserver.",
        static_cast<double>(server_->connections().size()));
  gauge("kfs_meta_waiting_ops", "Ops that wait for a lock, a mutation or their turn.",
        static_cast<double>(executor_->parked_now()));
  AddStateMetrics(&out);
  for (const auto& [id, v] : executor_->volumes()) {
    auto of = [&out, volume = v.get()](const char* name, const char* help, double value) {
      out.push_back({name, help, false, {{"volume", volume->info.name()}}, value});
    };
    of("kfs_meta_sessions", "Sessions of the volume: mounts that it knows.",
       static_cast<double>(v->mounts()));
    of("kfs_meta_inodes", "Inodes in use.", static_cast<double>(v->store.counters().inodes()));
    of("kfs_meta_cache_bytes", "Decoded inodes and names in memory.",
       static_cast<double>(v->store.cache_bytes()));
    of("kfs_meta_pending_mutations", "Chunk changes not yet acknowledged.",
       static_cast<double>(v->mutations.size()));
    of("kfs_meta_garbage_chunks", "Chunks to be deleted.", static_cast<double>(v->garbage.size()));
    of("kfs_meta_orphans_queued", "Nameless inodes being freed.", static_cast<double>(v->orphans_queued()));
  }
  metrics_->Set(std::move(out));
}

}  // namespace kfs::meta

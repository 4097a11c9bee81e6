#include "metaserver/admin/state_metrics.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <map>

#include "metaserver/cluster/configuration.h"

namespace kfs::meta {
namespace {

constexpr auto kGauge = MetricType::kGauge;

constexpr MetricFamily kGeneration{kGauge, "kfs_meta_generation", "Generation of the configuration"};
constexpr MetricFamily kMembers{kGauge, "kfs_meta_members", "Metaservers of the cluster"};
constexpr MetricFamily kPeerConnected{kGauge, "kfs_meta_peer_connected",
                                      "1: the other metaserver is connected"};
constexpr MetricFamily kOwnerUp{kGauge, "kfs_meta_volume_owner_up",
                                "1: the owner of the volume is this metaserver, or connected to it"};
constexpr MetricFamily kStarted{kGauge, "kfs_meta_volume_started",
                                "1: the volume is to be served, 0: it was stopped"};
constexpr MetricFamily kServed{kGauge, "kfs_meta_volume_served",
                               "1: this metaserver, its owner, serves the volume"};

constexpr MetricFamily kLogWrites{MetricType::kCounter, "kfs_meta_log_writes_total",
                                  "Batches written to the log of the volume's database"};
constexpr MetricFamily kMountsAway{kGauge, "kfs_meta_mounts_away", "Mounts that are not connected"};
constexpr MetricFamily kSessionsLost{kGauge, "kfs_meta_sessions_lost",
                                     "Mounts that were silent for too long, and have lost what they held"};
constexpr MetricFamily kCallMean{kGauge, "kfs_meta_mount_call_mean_seconds",
                                 "Mean time of the calls of the last two minutes, as mounts tell of them"};
constexpr MetricFamily kCallSlowest{kGauge, "kfs_meta_mount_call_slowest_seconds",
                                    "Slowest call of the last two minutes, as mounts tell of them"};
constexpr MetricFamily kStoredAnswers{kGauge, "kfs_meta_stored_answer_bytes",
                                      "Stored answers that clients have not acknowledged yet"};
constexpr MetricFamily kOpenBytes{kGauge, "kfs_meta_open_bytes", "Memory for what sessions have open"};
constexpr MetricFamily kLostChunks{kGauge, "kfs_meta_lost_chunks",
                                   "Chunks on a chunkserver that was removed; 0: an administrator knows"};

constexpr MetricFamily kUp{kGauge, "kfs_meta_chunkserver_up", "1: the chunkserver is connected"};
constexpr MetricFamily kUnreached{kGauge, "kfs_meta_chunkserver_unreached",
                                  "1: the chunkserver is not reached at the address that clients use"};
constexpr MetricFamily kSickDisks{kGauge, "kfs_meta_chunkserver_sick_disks",
                                  "Disks of the chunkserver that are not used for an error"};
constexpr MetricFamily kCapacity{kGauge, "kfs_meta_chunkserver_capacity_bytes",
                                 "Size of the chunkserver's disks that are well"};
constexpr MetricFamily kAvailable{kGauge, "kfs_meta_chunkserver_available_bytes",
                                  "Room on the chunkserver's disks that are well"};

constexpr MetricFamily kDataCapacity{kGauge, "kfs_meta_data_capacity_bytes",
                                     "Size of the file system of data-dir"};
constexpr MetricFamily kDataAvailable{kGauge, "kfs_meta_data_available_bytes",
                                      "Room on the file system of data-dir"};
constexpr MetricFamily kDiskFull{kGauge, "kfs_meta_disk_full",
                                 "1: nothing new is made for want of room (ENOSPC)"};

double OneIf(bool so) { return so ? 1 : 0; }

}  // namespace

void StateMetrics::Register(Metrics& metrics) const {
  metrics.Add([this](MetricsPage& page) { ShowCluster(page); });
  metrics.Add([this](MetricsPage& page) { ShowSessions(page); });
  metrics.Add([this](MetricsPage& page) { ShowChunkservers(page); });
  metrics.Add([this](MetricsPage& page) { ShowRoom(page); });
}

void StateMetrics::ShowCluster(MetricsPage& page) const {
  const pb::ClusterConf& conf = member_.conf();
  page.Add(kGeneration, conf.generation());
  page.Add(kMembers, static_cast<double>(conf.member_size()));
  std::map<std::string, bool> heard = {{member_.uuid(), true}};
  for (const PeerView& p : member_.node().Peers()) {
    heard[p.uuid] = p.connected;
    page.Add(kPeerConnected, OneIf(p.connected), {{"peer", p.address}});
  }
  for (const pb::VolumeConf& v : conf.volume()) {
    // Seen by all members: whoever owns it cannot tell that it is down.
    const pb::MemberConf* owner = FindMember(conf, v.owner());
    page.Add(kOwnerUp, OneIf(heard[v.owner()]),
             {{"volume", v.name()}, {"owner", owner == nullptr ? "" : owner->address()}});
    if (v.owner() != member_.uuid()) continue;
    const MetricLabels labels = {{"volume", v.name()}};
    page.Add(kStarted, OneIf(v.started()), labels);
    page.Add(kServed, OneIf(executor_.FindVolume(VolumeId(v.id())) != nullptr), labels);
  }
}

void StateMetrics::ShowSessions(MetricsPage& page) const {
  for (const auto& [id, v] : executor_.volumes()) {
    const MetricLabels labels = {{"volume", v->info.name()}};
    page.Add(kLogWrites, static_cast<double>(v->store.db().writes()), labels);
    uint64_t away = 0, lost = 0, calls = 0, micros = 0, slowest = 0;
    for (const auto& [sid, s] : v->sessions) {
      if (s->expired != 0) {
        ++lost;
        continue;
      }
      away += s->connection() == nullptr ? 1 : 0;
      const Session::Calls told = s->RecentCalls();
      calls += told.count, micros += told.micros;
      slowest = std::max(slowest, told.slowest_micros);
    }
    page.Add(kStoredAnswers, static_cast<double>(v->stored_replies.bytes()), labels);
    page.Add(kOpenBytes, static_cast<double>(v->open_files.bytes()), labels);
    page.Add(kMountsAway, away, labels);
    page.Add(kSessionsLost, lost, labels);
    page.Add(kCallMean, calls == 0 ? 0 : static_cast<double>(micros) / static_cast<double>(calls) / 1e6,
             labels);
    page.Add(kCallSlowest, static_cast<double>(slowest) / 1e6, labels);
    pb::VolumeInfo info;
    lost_.Fill(id, &info);
    for (const auto& c : info.lost()) {
      page.Add(kLostChunks, c.settled() ? 0 : static_cast<double>(c.chunks()),
               {{"volume", v->info.name()}, {"chunkserver", std::to_string(c.server())}});
    }
  }
}

void StateMetrics::ShowChunkservers(MetricsPage& page) const {
  for (const auto& [id, s] : chunkservers_.all()) {
    const MetricLabels labels = {{"chunkserver", std::to_string(id.v)}, {"address", s.address}};
    page.Add(kUp, OneIf(chunkservers_.IsUp(id)), labels);
    page.Add(kUnreached, OneIf(!s.unreached.empty()), labels);
    page.Add(
        kSickDisks,
        static_cast<double>(std::ranges::count_if(s.disks, [](const auto& d) { return !d.error().empty(); })),
        labels);
    page.Add(kCapacity, static_cast<double>(s.capacity()), labels);
    page.Add(kAvailable, static_cast<double>(s.available()), labels);
  }
}

void StateMetrics::ShowRoom(MetricsPage& page) const {
  struct statvfs st {};
  if (files_.Statvfs(data_dir_, &st) == 0) {
    page.Add(kDataCapacity, static_cast<double>(st.f_blocks * st.f_frsize));
    page.Add(kDataAvailable, static_cast<double>(st.f_bavail * st.f_frsize));
  }
  page.Add(kDiskFull, OneIf(disk_.full()));
}

}  // namespace kfs::meta

// Metrics of what an operator looks after: peers, volumes, chunkservers, room, and every event of the log
// that is an alarm (docs/operate.md names them).
#include <algorithm>
#include <map>

#include "common/event_counts.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/metaserver.h"

namespace kfs::meta {

void MetaServer::AddStateMetrics(std::vector<Sample>* out) {
  using Labels = std::vector<std::pair<std::string, std::string>>;
  const auto gauge = [&](const char* name, const char* help, Labels labels, double value) {
    out->push_back({name, help, false, std::move(labels), value});
  };
  for (const EventCount& e : LoggedEvents()) {
    out->push_back({"kfs_log_events_total",
                    "Warnings and worse in the log, by event.",
                    true,
                    {{"event", e.event}, {"level", e.level}},
                    static_cast<double>(e.count)});
  }
  const pb::ClusterConf& conf = member_->conf();
  gauge("kfs_meta_generation", "Generation of the configuration.", {},
        static_cast<double>(conf.generation()));
  gauge("kfs_meta_members", "Metaservers of the cluster.", {}, conf.member_size());
  std::map<std::string, bool> heard = {{member_->uuid(), true}};
  for (const PeerView& p : member_->node().Peers()) {
    heard[p.uuid] = p.connected;
    gauge("kfs_meta_peer_connected", "1: the other metaserver is connected.", {{"peer", p.address}},
          p.connected ? 1 : 0);
  }
  for (const pb::VolumeConf& v : conf.volume()) {
    // Seen by all members: whoever owns it cannot tell that it is down.
    const pb::MemberConf* owner = FindMember(conf, v.owner());
    gauge("kfs_meta_volume_owner_up", "1: the owner of the volume is this metaserver, or connected to it.",
          {{"volume", v.name()}, {"owner", owner == nullptr ? "" : owner->address()}},
          heard[v.owner()] ? 1 : 0);
    if (v.owner() != member_->uuid()) continue;
    const Labels labels = {{"volume", v.name()}};
    gauge("kfs_meta_volume_started", "1: the volume is to be served, 0: it was stopped.", labels,
          v.started() ? 1 : 0);
    gauge("kfs_meta_volume_served", "1: this metaserver, its owner, serves the volume.", labels,
          executor_->FindVolume(VolumeId(v.id())) != nullptr ? 1 : 0);
  }
  for (const auto& [id, v] : executor_->volumes()) {
    const Labels labels = {{"volume", v->info.name()}};
    out->push_back({"kfs_meta_log_writes_total", "Batches written to the log of the volume's database.", true,
                    labels, static_cast<double>(v->store.db().writes())});
    uint64_t away = 0, lost = 0, calls = 0, micros = 0, slowest = 0;
    for (const auto& [sid, s] : v->sessions) {
      if (s->expired != 0) {
        ++lost;
        continue;
      }
      away += s->connection == nullptr ? 1 : 0;
      const Session::Calls told = s->RecentCalls();
      calls += told.count, micros += told.micros;
      slowest = std::max(slowest, told.slowest_micros);
    }
    gauge("kfs_meta_mounts_away", "Mounts that are not connected.", labels, static_cast<double>(away));
    gauge("kfs_meta_sessions_lost", "Mounts that were silent for too long, and have lost what they held.",
          labels, static_cast<double>(lost));
    gauge("kfs_meta_stored_answer_bytes", "Stored answers that clients have not acknowledged yet.", labels,
          static_cast<double>(v->stored_bytes()));
    gauge("kfs_meta_open_bytes", "Memory for what sessions have open.", labels,
          static_cast<double>(v->open_bytes()));
    gauge("kfs_meta_mount_call_mean_seconds",
          "Mean time of the calls of the last two minutes, as mounts tell of them.", labels,
          calls == 0 ? 0 : static_cast<double>(micros) / static_cast<double>(calls) / 1e6);
    gauge("kfs_meta_mount_call_slowest_seconds",
          "Slowest call of the last two minutes, as mounts tell of them.", labels,
          static_cast<double>(slowest) / 1e6);
    pb::VolumeInfo info;
    lost_->Fill(id, &info);
    for (const auto& c : info.lost()) {
      gauge("kfs_meta_lost_chunks", "Chunks on a chunkserver that was removed; 0: an administrator knows.",
            {{"volume", v->info.name()}, {"chunkserver", std::to_string(c.server())}},
            c.settled() ? 0 : static_cast<double>(c.chunks()));
    }
  }
  for (const auto& [id, s] : chunkservers_->all()) {
    const Labels labels = {{"chunkserver", std::to_string(id.v)}, {"address", s.address}};
    const bool up = chunkservers_->IsUp(id);
    gauge("kfs_meta_chunkserver_up", "1: the chunkserver is connected.", labels, up ? 1 : 0);
    gauge("kfs_meta_chunkserver_unreached",
          "1: the chunkserver is not reached at the address that clients use.", labels,
          s.unreached.empty() ? 0 : 1);
    gauge("kfs_meta_chunkserver_sick_disks", "Disks of the chunkserver that are not used for an error.",
          labels, static_cast<double>(std::count_if(s.disks.begin(), s.disks.end(), [](const auto& d) {
            return !d.error().empty();
          })));
    gauge("kfs_meta_chunkserver_capacity_bytes", "Size of the chunkserver's disks that are well.", labels,
          static_cast<double>(s.capacity()));
    gauge("kfs_meta_chunkserver_available_bytes", "Room on the chunkserver's disks that are well.", labels,
          static_cast<double>(s.available()));
  }
  struct statvfs st {};
  if (files_.Statvfs(options_.data_dir(), &st) == 0) {
    gauge("kfs_meta_data_capacity_bytes", "Size of the file system of data-dir.", {},
          static_cast<double>(st.f_blocks * st.f_frsize));
    gauge("kfs_meta_data_available_bytes", "Room on the file system of data-dir.", {},
          static_cast<double>(st.f_bavail * st.f_frsize));
  }
  AddLinkMetrics(out);
  gauge("kfs_meta_disk_full", "1: nothing new is made for want of room (ENOSPC).", {}, disk_->full() ? 1 : 0);
}

}  // namespace kfs::meta

#include "metaserver/losses/lost_chunks.h"

#include <algorithm>

#include "common/log.h"
#include "metaserver/store/db_view.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

LostChunks::LostChunks(Clock& clock, JobThread& scans, Executor& executor,
                       std::function<const pb::ClusterConf&()> conf)
    : clock_(clock), scans_(scans), executor_(executor), conf_(std::move(conf)) {}

void LostChunks::OnTimer() {
  std::erase_if(states_, [this](const auto& s) { return executor_.FindVolume(s.first) == nullptr; });
  const pb::ClusterConf& conf = conf_();
  // Numbers are given out one after the other, and each once.
  if (static_cast<uint64_t>(conf.chunkserver_size()) == conf.next_chunkserver()) return states_.clear();
  std::set<uint64_t> present;
  for (const pb::ChunkserverConf& c : conf.chunkserver()) present.insert(c.id());
  const MonoTime now = clock_.MonoNow();
  for (const auto& [id, volume] : executor_.volumes()) {
    if (busy_) return;
    State& state = states_[id];
    if (state.pass.incarnation != volume->incarnation() || state.present != present) {
      Begin(state, volume->incarnation(), present);
      state.counted.reset();
      state.next_at = now;
    }
    if (now >= state.next_at) Step(id, *volume);
  }
}

void LostChunks::Begin(State& state, uint64_t incarnation, std::set<uint64_t> present) {
  state.pass = Pass{};
  state.pass.incarnation = incarnation;
  state.present = std::move(present);
}

void LostChunks::Step(VolumeId id, Volume& volume) {
  State& state = states_[id];
  auto pass = std::make_shared<Pass>(state.pass);
  busy_ = true;
  Db* db = &volume.store.db();
  scans_.Do(
      db,
      [&clock = clock_, db, present = state.present, pass] { return CountPage(clock, *db, present, *pass); },
      lifetime_.While([this, id, pass](const Status& s) { Stepped(id, pass, s); }));
}

// On the JobThread.
Status LostChunks::CountPage(Clock& clock, Db& db, const std::set<uint64_t>& present, Pass& pass) {
  const auto began = clock.MonoNow();
  DbView view(db);
  size_t looked_at = 0;
  const std::string from = std::exchange(pass.from, {});
  view.Scan(Key('K'), from, [&](std::string_view key, std::string_view value) {
    if (looked_at++ == kPage) {
      pass.from = key;
      return false;
    }
    rec::Chunk chunk;
    if (!chunk.ParseFromArray(value.data(), static_cast<int>(value.size()))) return true;
    const uint64_t ino = KeyU64(key, 1);
    if (ino != pass.last_ino) pass.last_on.clear();
    pass.last_ino = ino;
    for (uint64_t server : chunk.server()) {
      if (present.contains(server)) continue;
      LostCount& count = pass.counts[server];
      ++count.chunks;
      if (pass.last_on.insert(server).second) ++count.files;
    }
    return true;
  });
  pass.worked += clock.MonoNow() - began;
  return view.status();
}

void LostChunks::Stepped(VolumeId id, const std::shared_ptr<Pass>& pass, const Status& s) {
  busy_ = false;
  const auto it = states_.find(id);
  if (it == states_.end() || it->second.pass.incarnation != pass->incarnation) return;
  State& state = it->second;
  const MonoTime now = clock_.MonoNow();
  if (!s.ok()) {
    state.next_at = now + kAgainMax;
    return;
  }
  const Duration worked = pass->worked - state.pass.worked;
  state.pass = *pass;
  state.next_at = now + kRest * worked;
  if (!pass->from.empty()) return;
  const bool first = !state.counted;
  state.counted = pass->counts;
  state.counted_wall = clock_.WallNow();
  for (const auto& [server, count] : pass->counts) {
    if (!first) break;
    const Volume* volume = executor_.FindVolume(id);
    KFS_LOG(warn, "chunk.lost volume={} chunkserver={} chunks={} files={} next=\"kfs chunkserver files {}\"",
            volume == nullptr ? "" : volume->info.name(), server, count.chunks, count.files, server);
  }
  state.next_at =
      now + (pass->counts.empty() ? Duration(kAgainNone)
                                  : std::clamp<Duration>(2 * kRest * pass->worked, kAgainMin, kAgainMax));
  Begin(state, pass->incarnation, state.present);
}

const LostCounts* LostChunks::Of(VolumeId id) const {
  const auto it = states_.find(id);
  return it == states_.end() || !it->second.counted ? nullptr : &*it->second.counted;
}

void LostChunks::Fill(VolumeId id, pb::VolumeInfo* out) const {
  const LostCounts* counts = Of(id);
  if (counts == nullptr) return;
  out->set_lost_counted(states_.at(id).counted_wall);
  const auto& settled = conf_().settled_chunkserver();
  for (const auto& [server, count] : *counts) {
    auto* lost = out->add_lost();
    lost->set_server(server);
    lost->set_chunks(count.chunks);
    lost->set_files(count.files);
    lost->set_settled(std::find(settled.begin(), settled.end(), server) != settled.end());
  }
}

}  // namespace kfs::meta

#include "metaserver/chunks/fences.h"

#include <algorithm>

#include "common/limits.h"
#include "common/log.h"

namespace kfs::meta {

Fences::Fences(VolumeId volume, Chunkservers& servers, Clock& clock, ChunkJobsEnv& env)
    : volume_(volume), servers_(servers), clock_(clock), env_(env) {}

Fences::~Fences() { lifetime_.End(); }

void Fences::Add(ServerId id, Fence fence) {
  Server& server = fenced_[id];
  Entry& entry = server.entries[{fence.session, fence.others}];
  if (entry.fence.session.v != 0) {  // an earlier one of the session: this one contains it
    if (!entry.answered) --server.unanswered;
    fence.expires_ms = std::max(fence.expires_ms, entry.fence.expires_ms);
    if (!entry.answered && entry.fence.files != fence.files) fence.files = nullptr;
  }
  entry = {std::move(fence)};
  ++server.unanswered;
  const std::pair key{entry.fence.session, entry.fence.others};
  env_.WhenLogged(lifetime_.While([this, id, key, serial = entry.fence.serial] { Logged(id, key, serial); }));
}

void Fences::Logged(ServerId id, const std::pair<SessionId, bool>& key, uint64_t serial) {
  const auto server = fenced_.find(id);
  if (server == fenced_.end()) return;
  const auto entry = server->second.entries.find(key);
  if (entry == server->second.entries.end() || entry->second.fence.serial != serial) return;
  entry->second.logged = true;
  Send(id, server->second);
}

bool Fences::Pending(ServerId id, Ino ino, SessionId asker) const {
  auto it = fenced_.find(id);
  if (it == fenced_.end() || it->second.unanswered == 0) return false;
  const uint64_t now = clock_.BootMs();
  return std::ranges::any_of(it->second.entries, [&](const auto& e) {
    const Fence& f = e.second.fence;
    return !e.second.answered && f.session != asker && now < f.expires_ms &&
           (f.files == nullptr || f.files->contains(ino));
  });
}

void Fences::RunWaiters() {
  for (ParkedPtr& w : waiters_.Take()) env_.Rerun(std::move(w));
}

void Fences::Up(ServerId id) {
  auto it = fenced_.find(id);
  if (it == fenced_.end()) return;
  Server& server = it->second;
  ++server.times_up;
  server.under_way = false;
  server.unanswered = server.entries.size();
  for (auto& [key, entry] : server.entries) entry.answered = false;
  Send(id, server);
}

void Fences::Send(ServerId id, Server& server) {
  if (server.under_way || server.unanswered == 0 || !servers_.IsUp(id)) return;
  pb::FenceSessionsRequest request;
  request.set_volume(volume_.v);
  request.set_clock(servers_.clock_id());
  std::vector<std::pair<std::pair<SessionId, bool>, uint64_t>> sent;
  for (const auto& [key, entry] : server.entries) {
    if (entry.answered || !entry.logged || sent.size() >= kInventoryBatch) continue;
    auto* fence = request.add_fence();
    fence->set_session(entry.fence.session.v);
    fence->set_serial(entry.fence.serial);
    fence->set_expires_ms(entry.fence.expires_ms);
    fence->set_others(entry.fence.others);
    sent.emplace_back(key, entry.fence.serial);
  }
  if (sent.empty()) return;
  server.under_way = true;
  servers_.Request(
      id, Op::kFenceSessions, request,
      lifetime_.While([this, id, times_up = server.times_up, sent](const Status& status, const std::string&) {
        auto it = fenced_.find(id);
        if (it == fenced_.end() || it->second.times_up != times_up) return;
        Server& s = it->second;
        s.under_way = false;
        // Of before there were tickets: it has none that could be fenced. Once it is upgraded it is told
        // (Up).
        const bool has_none = status.err() == EOPNOTSUPP;
        if (has_none)
          KFS_LOG(info, "fence.not_served volume={} server={} next=\"upgrade the chunkserver\"", volume_.v,
                  id.v);
        if (!status.ok() && !has_none) {
          KFS_LOG(warn, "fence.failed volume={} server={} sessions={} error=\"{}\" next=retry", volume_.v,
                  id.v, sent.size(), status.ToString());
          return;  // OnTimer tries again
        }
        for (const auto& [key, serial] : sent) {
          auto e = s.entries.find(key);
          if (e == s.entries.end() || e->second.answered || e->second.fence.serial != serial) continue;
          e->second.answered = true;
          --s.unanswered;
        }
        RunWaiters();
        Send(id, s);
      }));
}

void Fences::OnTimer() {
  const uint64_t now = clock_.BootMs();
  bool changed = false;
  for (auto it = fenced_.begin(); it != fenced_.end();) {
    Server& server = it->second;
    std::erase_if(server.entries, [&](const auto& e) {
      if (now < e.second.fence.expires_ms) return false;
      if (!e.second.answered) --server.unanswered;
      return changed = true;
    });
    if (server.entries.empty()) {
      it = fenced_.erase(it);
      continue;
    }
    Send(it->first, server);
    ++it;
  }
  if (changed) RunWaiters();
}

size_t Fences::pending() const {
  size_t n = 0;
  for (const auto& [id, server] : fenced_) n += server.unanswered;
  return n;
}

}  // namespace kfs::meta

#include "metaserver/chunks/garbage.h"

#include <algorithm>
#include <vector>

#include "common/log.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

uint64_t LeastOf(const std::vector<ChunkId>& chunks) {
  return std::min_element(chunks.begin(), chunks.end(), [](ChunkId a, ChunkId b) { return a.v < b.v; })->v;
}

}  // namespace

Garbage::Garbage(VolumeId volume, VolumeStore& store, Chunkservers& servers, ChunkJobsEnv& env)
    : volume_(volume), store_(store), servers_(servers), env_(env) {}

Garbage::~Garbage() { lifetime_.End(); }

Status Garbage::Load() {
  store_.Scan("G", "", [&](std::string_view key, std::string_view) {
    Work& work = servers_with_[ServerId(KeyU64(key, 1))];
    ++work.count;
    work.more = true;
    return true;
  });
  return store_.db().TakeReadError();
}

void Garbage::Added(ServerId server, ChunkId chunk) {
  Work& work = servers_with_[server];
  ++work.count;
  if (work.fresh.size() < kFreshMax) return work.fresh.push_back(chunk);
  work.from = work.more ? std::min(work.from, chunk.v) : chunk.v;
  work.more = true;
}

std::vector<ChunkId> Garbage::Next(ServerId server, Work& work) {
  std::vector<ChunkId> chunks;
  while (!work.fresh.empty() && chunks.size() < kBatch) {
    chunks.push_back(work.fresh.front());
    work.fresh.pop_front();
  }
  if (!chunks.empty() || !work.more) return chunks;
  store_.Scan(GarbagePrefix(server), GarbageKey(server, ChunkId(work.from)),
              [&](std::string_view key, std::string_view) {
                chunks.push_back(ChunkId(KeyU64(key, 9)));
                return chunks.size() < kBatch;
              });
  work.more = chunks.size() == kBatch;
  if (work.more) work.from = chunks.back().v + 1;
  return chunks;
}

void Garbage::Run() {
  for (auto& [server, work] : servers_with_) {
    if (work.sent || work.count == 0 || !servers_.IsUp(server)) continue;
    auto chunks = std::make_shared<std::vector<ChunkId>>(Next(server, work));
    if (chunks->empty()) {
      work.count = 0;
      continue;
    }
    work.sent = true;
    // Were the power to fail before the log is synced, files would come back whose chunks are gone.
    env_.AfterSync(lifetime_.While([this, server = server, chunks] { Send(server, chunks); }));
  }
}

void Garbage::Send(ServerId server, const std::shared_ptr<std::vector<ChunkId>>& chunks) {
  pb::DeleteChunksRequest request;
  request.set_volume(volume_.v);
  for (ChunkId chunk : *chunks) request.add_chunk(chunk.v);
  servers_.Request(server, Op::kDeleteChunks, request,
                   lifetime_.While([this, server, chunks](const Status& status, const std::string&) {
                     Work& w = servers_with_[server];
                     w.sent = false;
                     if (!status.ok()) {
                       KFS_LOG(warn, "garbage.delete_failed volume={} server={} error=\"{}\" next=retry",
                               volume_.v, server.v, status.ToString());
                       w.from = w.more ? std::min(w.from, LeastOf(*chunks)) : LeastOf(*chunks);
                       w.more = true;
                       return;
                     }
                     for (ChunkId chunk : *chunks) store_.db().Delete(GarbageKey(server, chunk));
                     w.count -= std::min(w.count, chunks->size());
                     env_.Changed();
                   }));
}

size_t Garbage::CountOf(ServerId server) const {
  auto it = servers_with_.find(server);
  return it == servers_with_.end() ? 0 : it->second.count;
}

size_t Garbage::size() const {
  size_t n = 0;
  for (const auto& [server, work] : servers_with_) n += work.count;
  return n;
}

}  // namespace kfs::meta

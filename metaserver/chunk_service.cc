// The metaserver's ops for chunkservers: register, heartbeat, inventory.
#include "common/limits.h"
#include "common/log.h"
#include "metaserver/metaserver.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

// What of this may go? Only what certainly nothing references: when in doubt, a chunk stays.
void MetaServer::Inventory(ServerId server, const pb::ReportChunksRequest& request,
                           pb::ReportChunksReply* reply) {
  VolumeId id(request.volume());
  Volume* volume = executor_->FindVolume(id);
  if (volume == nullptr) {
    // Never ours: this metaserver may have been set up anew beside old data.
    if (id.v == 0 || id >= cluster_->next_volume() || cluster_->volumes().contains(id)) return;
    for (const auto& held : request.held()) reply->add_garbage(held.chunk());
    return;
  }
  volume->store.Commit();  // nothing is garbage that might not be after a crash
  const uint64_t next = volume->store.counters().next_chunk();
  for (const auto& held : request.held()) {
    if (held.chunk() >= next) {
      KFS_LOG(warn, "inventory.unknown_chunk volume={} chunk={} server={} next={}", id.v, held.chunk(),
              server.v, next);
      continue;
    }
    std::optional<std::string> owner_value = volume->store.db().Get(OwnerKey(ChunkId(held.chunk())));
    if (!volume->store.db().TakeReadError().ok()) return;
    if (!owner_value) {
      reply->add_garbage(held.chunk());
      continue;
    }
    rec::ChunkOwner owner;
    rec::Chunk chunk;
    if (!owner.ParseFromString(*owner_value)) continue;
    std::optional<std::string> value = volume->store.db().Get(ChunkKey(Ino(owner.ino()), owner.index()));
    if (!volume->store.db().TakeReadError().ok()) return;
    if (!value || !chunk.ParseFromString(*value) || chunk.chunk() != held.chunk()) continue;
    bool listed = false;
    for (uint64_t s : chunk.server()) listed = listed || s == server.v;
    if (!listed) reply->add_garbage(held.chunk());  // a replica given up
  }
}

void MetaServer::RegisterChunkService() {
  server_->Handle<rpc::RegisterChunkserver>(
      [this](IncomingCallPtr call, const pb::RegisterChunkserverRequest& request) {
        Result<ServerId> id = chunkservers_->Register(request, call->connection());
        if (!id.ok()) return call->Fail(id.status());
        pb::RegisterChunkserverReply reply;
        reply.set_server_id(id->v);
        reply.set_heartbeat_ms(Chunkservers::kHeartbeatMs);
        call->Reply(reply);
      });
  server_->Handle<rpc::Heartbeat>([this](IncomingCallPtr call, const pb::HeartbeatRequest& request) {
    Status s = chunkservers_->Heartbeat(chunkservers_->OfConnection(call->connection().get()), request);
    if (!s.ok()) return call->Fail(s);
    call->Reply(pb::HeartbeatReply());
  });
  server_->Handle<rpc::ReportChunks>([this](IncomingCallPtr call, const pb::ReportChunksRequest& request) {
    ServerId server = chunkservers_->OfConnection(call->connection().get());
    if (!server) return call->Fail(Status(EINVAL, Code::kMalformed, "register first"));
    if (static_cast<size_t>(request.held_size()) > kInventoryBatch) {
      return call->Fail(Status(EINVAL, Code::kMalformed, "inventory message too long"));
    }
    pb::ReportChunksReply reply;
    Inventory(server, request, &reply);
    call->Reply(reply);
  });
}

}  // namespace kfs::meta

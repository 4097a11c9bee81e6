// The ops of chunkservers: register, heartbeat, inventory. Loop's thread only.
#pragma once

#include "metaserver/losses/missing_chunks.h"
#include "metaserver/service/chunkserver_admission.h"
#include "metaserver/service/inventory.h"
#include "metaserver/service/sync_point_exchange.h"
#include "rpc/server.h"

namespace kfs::meta {

class ChunkserverService {
 public:
  ChunkserverService(Chunkservers& chunkservers, ChunkserverAdmission& admission, Inventory& inventory,
                     MissingChunks& missing, SyncPointExchange& points, const Member& member)
      : chunkservers_(chunkservers),
        admission_(admission),
        inventory_(inventory),
        missing_(missing),
        points_(points),
        member_(member) {}

  // It outlives the server's connections.
  void Register(Server& server);

 private:
  void Heartbeat(const IncomingCallPtr& call, const pb::HeartbeatRequest& request);

  Chunkservers& chunkservers_;
  ChunkserverAdmission& admission_;
  Inventory& inventory_;
  MissingChunks& missing_;
  SyncPointExchange& points_;
  const Member& member_;
};

}  // namespace kfs::meta

#include "metaserver/service/chunkserver_service.h"

namespace kfs::meta {

void ChunkserverService::Register(Server& server) {
  server.Handle<rpc::RegisterChunkserver>(
      [this](IncomingCallPtr call, const pb::RegisterChunkserverRequest& request) {
        admission_.Register(call, request);
      });
  server.Handle<rpc::Heartbeat>(
      [this](IncomingCallPtr call, const pb::HeartbeatRequest& request) { Heartbeat(call, request); });
  server.Handle<rpc::ReportChunks>([this](IncomingCallPtr call, const pb::ReportChunksRequest& request) {
    inventory_.Answer(call, request);
  });
}

void ChunkserverService::Heartbeat(const IncomingCallPtr& call, const pb::HeartbeatRequest& request) {
  const ServerId server = chunkservers_.OfConnection(call->connection().get());
  if (Status s = chunkservers_.Heartbeat(server, request); !s.ok()) return call->Fail(s);
  missing_.Told(server, request.missing());
  pb::HeartbeatReply reply;
  reply.set_inventory(chunkservers_.TakeInventoryWanted(server));
  reply.set_clock(chunkservers_.clock_id());
  reply.set_clock_ms(chunkservers_.clock_ms());
  FillMembers(member_.conf(), chunkservers_.Find(server), request.generation(), &reply);
  points_.TellChunkserver(server, &reply);
  call->Reply(reply);
}

}  // namespace kfs::meta

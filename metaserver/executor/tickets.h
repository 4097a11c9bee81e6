// Tickets and tokens for a volume's sessions (common/chunk_token.h): made when a layout names a chunkserver,
// renewed with KeepAlive, ended with the session's connection. A ticket runs out a tenth of the session's
// time to live before the session could, counted from when the session was last heard of. Loop's thread only.
#pragma once

#include "metaserver/chunks/fences.h"
#include "metaserver/executor/session.h"
#include "proto/meta.pb.h"

namespace kfs::meta {

class Tickets {
 public:
  Tickets(VolumeId volume, Chunkservers& servers, Clock& clock, Fences& fences)
      : volume_(volume), servers_(servers), clock_(clock), fences_(fences) {}

  void SetTtl(Duration session_ttl) { ttl_ = session_ttl; }

  // Adds the tokens for what `chunk` says (its servers, its version), and tickets where they are not in
  // `reply` yet.
  void Grant(Session& session, uint32_t rights, pb::ChunkLayout* chunk, pb::LayoutReply* reply);
  // Adds what opens the links to the chunkservers of `chunk`, and no tokens: to sync what was written, say.
  void Link(Session& session, pb::ChunkLayout* chunk);
  // A ticket for each chunkserver that the session has one for.
  void Renew(Session& session, pb::KeepAliveReply* reply);
  // What was given to the session counts no more; it may be given new ones.
  void End(Session& session);
  // So does what an earlier owner of the volume gave to it, or this process when it owned it before.
  // `may_write`: under what it had then, as one that has not expired.
  void EndEarlier(Session& session, bool may_write);
  // The chunkserver has another key now: what the session is given from now on is signed under that.
  void KeyChanged(Session& session, ServerId server);

 private:
  const pb::SessionTicket& Ticket(Session& session, ServerId server);
  uint64_t ExpiresMs(const Session& session) const;
  void Sign(const Session& session, ServerId server, pb::SessionTicket* ticket) const;

  const VolumeId volume_;
  Chunkservers& servers_;
  Clock& clock_;
  Fences& fences_;
  Duration ttl_ = std::chrono::seconds(30);
};

}  // namespace kfs::meta

#include "metaserver/service/key_service.h"

#include "common/chunk_token.h"
#include "common/log.h"
#include "common/utf8.h"
#include "common/uuid.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/cluster/key_changes.h"

namespace kfs::meta {

void KeyService::Register() {
  server_.Handle<rpc::KeyExport>([this](IncomingCallPtr call, const pb::KeyExportRequest& request) {
    const pb::KeyConf* key = FindKey(member_.conf(), request.name());
    if (key == nullptr) {
      return call->Fail(
          Status(ENOENT, "there is no key \"" + Printable(request.name(), 64) + "\" (see: kfs key list)"));
    }
    KFS_LOG(info, "key.exported key={} host={} peer={}", KeyIdOf(*key),
            Printable(call->connection()->hello.host(), 64), call->connection()->peer_address());
    call->Reply(keyring_.Export(KeyIdOf(*key)));
  });
  server_.Handle<rpc::JoinCluster>(
      [this](IncomingCallPtr call, const pb::JoinClusterRequest& request) { Join(call, request); });
}

// Whoever has the chunkserver's uuid may ask again, since the first answer may have been lost; the connection
// has proven that it has the invitation.
void KeyService::Join(const IncomingCallPtr& call, const pb::JoinClusterRequest& request) {
  const std::string invitation = MountRightsOf(*call->connection()).key;
  const std::string uuid = call->connection()->hello.id();
  if (!IsInvitation(invitation))
    return call->Fail(Status(EINVAL, "who joins comes with an invitation ('kfs chunkserver invite')"));
  if (!IsUuid(uuid)) return call->Fail(Status(EINVAL, Code::kMalformed, "a chunkserver has a uuid"));
  const auto done = [this, call, uuid, invitation] {
    KFS_LOG(info, "chunkserver.joined uuid={} invitation={} peer={}", uuid, invitation,
            call->connection()->peer_address());
    call->Reply(keyring_.Export(ChunkserverKeyId(uuid, KeyGeneration(invitation))));
  };
  const pb::ChunkserverConf* there = FindChunkserver(member_.conf(), uuid);
  if (there != nullptr && there->invitation() == invitation) return done();
  pb::CommandContext ctx;
  ctx.set_request_id(NewUuid(loop_.entropy()));
  ctx.set_words("chunkserver add " + uuid + " by " + invitation);
  pb::Change change;
  pb::Change::AddChunkserver* add = change.mutable_add_chunkserver();
  add->set_uuid(uuid);
  add->set_invitation(invitation);
  *add->mutable_label() = request.label();
  member_.Change(ctx, std::move(change),
                 lifetime_.While([call, done](const Status& s, const pb::ConfChangeReply&) {
                   if (call->connection()->closed()) return;
                   if (s.ok()) return done();
                   const bool final = s.err() == EINVAL || s.err() == EACCES;
                   call->Fail(final ? s : Status(EAGAIN, Code::kTryAgain, s.message()));
                 }));
}

void KeyService::EndSessions() {
  executor_.EndSessionsOfKeys([this](const std::string& key) { return keyring_.Counts(key); });
}

void KeyService::EndRevoked() {
  EndSessions();
  const auto all = server_.connections();  // closing changes them
  for (const ConnectionPtr& c : all) {
    const std::string key = MountRightsOf(*c).key;
    if (key.empty()) continue;
    if (keyring_.Counts(key)) {
      // Whose link was made by the older secret before they were seen with the new one: it may be another's.
      const PeerClaim claim{c->hello.role(), c->hello.id(), c->hello.key_id(), c->peer_address()};
      if (!keyring_.IsOlder(key) || keyring_.MayBeOlder(claim).ok()) continue;
    }
    KFS_LOG(info, "key.ended key={} host={} peer={}", key, Printable(c->hello.host(), 64), c->peer_address());
    c->CloseAfterFlush(Status(EACCES, "the key " + key + " was revoked, or has expired"));
  }
}

}  // namespace kfs::meta

// The metaserver and keys: what connections were opened with, what a key's file holds, and the end of both.
#include "common/log.h"
#include "common/utf8.h"
#include "metaserver/cluster/key_changes.h"
#include "metaserver/metaserver.h"

namespace kfs::meta {

void MetaServer::RegisterKeys() {
  server_->Handle<rpc::KeyExport>([this](IncomingCallPtr call, const pb::KeyExportRequest& request) {
    const pb::KeyConf* key = FindKey(member_->conf(), request.name());
    if (key == nullptr) {
      return call->Fail(
          Status(ENOENT, "there is no key \"" + Printable(request.name(), 64) + "\" (see: kfs key list)"));
    }
    KFS_LOG(info, "key.exported key={} host={} peer={}", KeyIdOf(*key),
            Printable(call->connection()->hello.host(), 64), call->connection()->peer_address());
    call->Reply(keyring_->Export(*key));
  });
}

void MetaServer::EndOfKeys() {
  executor_->EndSessionsOfKeys([this](const std::string& key) { return keyring_->Counts(key); });
  const auto all = server_->connections();  // closing changes them
  for (const ConnectionPtr& c : all) {
    const std::string key = MountRightsOf(*c).key;
    if (key.empty() || keyring_->Counts(key)) continue;
    KFS_LOG(info, "key.ended key={} host={} peer={}", key, Printable(c->hello.host(), 64), c->peer_address());
    c->CloseAfterFlush(Status(EACCES, "the key " + key + " was revoked, or has expired"));
  }
}

}  // namespace kfs::meta

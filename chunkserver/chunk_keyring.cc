#include "chunkserver/chunk_keyring.h"

#include "common/chunk_token.h"
#include "common/link_key.h"
#include "common/utf8.h"

namespace kfs {
namespace {

Status RefusedKey(const std::string& words) { return Status(EACCES, Code::kBadProof, words); }

}  // namespace

ChunkKeyring::ChunkKeyring(const Credentials& credentials, const std::string& uuid, const Clock& clock)
    : secret_(credentials.is_root() ? credentials.key() : ""),
      root_id_(credentials.is_root() ? credentials.key_id() : ""),
      key_id_(ChunkserverKeyId(uuid, credentials.generation())),
      key_(credentials.is_root() ? DeriveKey(secret_, key_id_) : credentials.key()),
      clock_(clock) {}

Result<FoundKey> ChunkKeyring::Find(const PeerClaim& claim) const {
  const std::string id = claim.key_id.empty() ? kRootKeyId : claim.key_id;
  if (id.starts_with("root/")) {
    if (secret_.empty())
      return RefusedKey("this chunkserver has a key of its own, and does not know the cluster's root secret");
    if (id != root_id_)
      return RefusedKey("this chunkserver has the root secret " + root_id_ + ", not " +
                        Printable(id, kKeyIdSizeMax));
    return FoundKey{.key = secret_, .rights = nullptr};
  }
  if (id == key_id_) {
    if (claim.role != pb::HelloRequest::METASERVER)
      return RefusedKey("a chunkserver's own key proves metaservers to it, and nobody else");
    return FoundKey{.key = key_, .rights = nullptr};
  }
  if (IsLinkKeyId(id)) {
    const Result<TimeNs> expires = LinkKeyExpires(id);
    if (!expires.ok() || claim.role != pb::HelloRequest::CLIENT)
      return RefusedKey("the key of a link is for mounts, and has a session and a time");
    if (*expires <= clock_.WallNow())
      return RefusedKey("the key of the link has expired: the metaserver gives out another");
    return FoundKey{.key = LinkKey(key_, id), .rights = nullptr};
  }
  return RefusedKey("this chunkserver knows no key " + Printable(id, kKeyIdSizeMax));
}

}  // namespace kfs

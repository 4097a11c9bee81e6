// Who may still use the root secret before the present one, or a key that comes from it (option
// old-secret-file). Whoever has been trusted with it can make each of these keys: so it opens what mounts
// need, and of servers only those that have it and have not been seen with a newer one. docs/security.md has
// the steps.
#include <fmt/format.h>

#include "common/utf8.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/members/cluster_keyring.h"

namespace kfs::meta {
namespace {

Status TooOld(std::string words) { return Status(EACCES, Code::kBadProof, std::move(words)); }

}  // namespace

Status ClusterKeyring::MayBeOlder(const PeerClaim& claim) const {
  const std::string shown = Printable(claim.key_id.empty() ? kRootKeyId : claim.key_id, kKeyIdSizeMax);
  const std::string present = root_.key_id();
  const pb::ClusterConf* conf = conf_();
  const bool gone_over = seen_->Of(claim.role, claim.id).generation >= generation();
  switch (claim.role) {
    case pb::HelloRequest::CLIENT:
      return {};
    case pb::HelloRequest::CHUNKSERVER: {
      const pb::ChunkserverConf* server = conf == nullptr ? nullptr : FindChunkserver(*conf, claim.id);
      if (server == nullptr || shown.starts_with("invitation/"))
        return TooOld(
            fmt::format("the cluster has the root secret {}, {} comes from an older one: who joins "
                        "needs a new invitation ('kfs chunkserver invite')",
                        present, shown));
      if (gone_over || KeyGeneration(server->invitation()) >= generation())
        return TooOld(
            fmt::format("chunkserver {} has gone over to the root secret {} and does not come with {} "
                        "any more",
                        server->id(), present, shown));
      return {};
    }
    case pb::HelloRequest::METASERVER: {
      bool member = false;
      if (conf != nullptr && claim.id != self_()) {
        for (const pb::MemberConf& m : conf->member()) member = member || m.uuid() == claim.id;
      }
      if (member && !gone_over) return {};
      return TooOld(fmt::format("a metaserver of this cluster {}: {} is not enough to be one",
                                member ? "has gone over to the root secret " + present
                                       : "that is taken in has the root secret " + present,
                                shown));
    }
    default:
      return TooOld(fmt::format(
          "administration needs the root secret {}, or a key that comes from it ('kfs key "
          "export'): {} is older, and {}",
          present, shown, shown.starts_with("admin/") ? "opens nothing any more" : "opens mounts only"));
  }
}

}  // namespace kfs::meta

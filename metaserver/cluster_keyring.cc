#include "metaserver/cluster_keyring.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/network.h"
#include "common/utf8.h"
#include "metaserver/cluster/key_changes.h"

namespace kfs::meta {
namespace {

Status Refused(const std::string& words) { return Status(EACCES, Code::kBadProof, words); }

bool Expired(const pb::KeyConf& key, const Clock& clock) {
  return key.expires() != 0 && key.expires() <= clock.WallNow();
}

// A socket of this machine has no address to be checked: whoever reaches it is here.
bool MayComeFrom(const pb::KeyConf& key, const std::string& address) {
  if (key.from_size() == 0) return true;
  const std::string where = address.starts_with("unix:") ? "127.0.0.1" : address;
  return std::any_of(key.from().begin(), key.from().end(),
                     [&](const std::string& network) { return InNetwork(network, where); });
}

std::shared_ptr<const MountRights> RightsOfKey(const pb::KeyConf& key, const std::string& id) {
  auto rights = std::make_shared<MountRights>();
  rights->key = id;
  rights->expires = key.expires();
  if (key.kind() != pb::KeyConf::MOUNT) return rights;
  rights->volume = key.volume();
  rights->path = key.path();
  rights->read_only = key.read_only();
  rights->squash = key.squash();
  rights->squash_uid = key.squash_uid();
  rights->squash_gid = key.squash_gid();
  return rights;
}

}  // namespace

MountRights MountRightsOf(const Connection& connection) {
  const auto* rights = static_cast<const MountRights*>(connection.rights.get());
  return rights == nullptr ? MountRights() : *rights;
}

ClusterKeyring::ClusterKeyring(const Credentials& root, const Clock& clock,
                               std::function<const pb::ClusterConf*()> conf)
    : secret_(root.key()),
      signing_key_(SigningKey::FromSecret(secret_)),
      clock_(clock),
      conf_(std::move(conf)) {}

Result<FoundKey> ClusterKeyring::Find(const PeerClaim& claim) const {
  const std::string& id = claim.key_id;
  if (id.empty() || id == kRootKeyId) return FoundKey{.key = secret_, .rights = nullptr};
  const std::string shown = Printable(id, kKeyIdSizeMax);
  const pb::ClusterConf* conf = conf_();
  const pb::KeyConf* key = conf == nullptr || !IsKeyId(id) ? nullptr : FindKeyById(*conf, id);
  if (key == nullptr)
    return Refused(
        fmt::format("the key {} is not known here: it was revoked, or is another cluster's", shown));
  const bool admin = key->kind() == pb::KeyConf::ADMIN;
  if (claim.role != (admin ? pb::HelloRequest::ADMIN : pb::HelloRequest::CLIENT)) {
    return Refused(fmt::format("the key {} is for {}", shown,
                               admin
                                   ? "the kfs command; a mount has a key made with 'kfs key create --volume'"
                                   : "mounts; the kfs command has one made with 'kfs key create --admin'"));
  }
  if (Expired(*key, clock_)) return Refused(fmt::format("the key {} has expired", shown));
  if (!MayComeFrom(*key, claim.address))
    return Refused(fmt::format("the key {} may not be used from {}", shown, claim.address));
  return FoundKey{.key = DeriveKey(secret_, id), .rights = RightsOfKey(*key, id)};
}

bool ClusterKeyring::Counts(const std::string& id) const {
  const pb::ClusterConf* conf = conf_();
  if (conf == nullptr) return true;
  const pb::KeyConf* key = FindKeyById(*conf, id);
  return key != nullptr && !Expired(*key, clock_);
}

pb::KeyExportReply ClusterKeyring::Export(const pb::KeyConf& key) const {
  pb::KeyExportReply reply;
  reply.set_key_id(KeyIdOf(key));
  reply.set_key(DeriveKey(secret_, reply.key_id()));
  if (const pb::ClusterConf* conf = conf_()) reply.set_cluster_id(conf->cluster_id());
  reply.set_cluster_public_key(signing_key_.public_key());
  return reply;
}

}  // namespace kfs::meta

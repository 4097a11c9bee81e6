#include "metaserver/cluster_keyring.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/chunk_token.h"
#include "common/network.h"
#include "common/utf8.h"
#include "metaserver/cluster/configuration.h"
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

std::shared_ptr<const MountRights> RightsOfServer(const std::string& id) {
  auto rights = std::make_shared<MountRights>();
  rights->key = id;
  return rights;
}

}  // namespace

MountRights MountRightsOf(const Connection& connection) {
  const auto* rights = static_cast<const MountRights*>(connection.rights.get());
  return rights == nullptr ? MountRights() : *rights;
}

namespace {

// Its invitation is over with the first answer; but that may have been lost.
bool AsksAgain(const pb::ClusterConf& conf, const PeerClaim& claim, const Clock& clock) {
  const pb::ChunkserverConf* c = FindChunkserver(conf, claim.id);
  return c != nullptr && c->invitation() == claim.key_id && c->invitation_expires() > clock.WallNow();
}

std::string_view MeantFor(pb::KeyConf::Kind kind) {
  switch (kind) {
    case pb::KeyConf::ADMIN:
      return "the kfs command; a mount has a key made with 'kfs key create --volume'";
    case pb::KeyConf::CHUNKSERVER:
      return "a chunkserver that joins; it opens nothing else";
    default:
      return "mounts; the kfs command has one made with 'kfs key create --admin'";
  }
}

pb::HelloRequest::Role RoleOf(pb::KeyConf::Kind kind) {
  switch (kind) {
    case pb::KeyConf::ADMIN:
      return pb::HelloRequest::ADMIN;
    case pb::KeyConf::CHUNKSERVER:
      return pb::HelloRequest::CHUNKSERVER;
    default:
      return pb::HelloRequest::CLIENT;
  }
}

}  // namespace

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
  if (id.starts_with("chunkserver/")) return OfChunkserver(claim);
  if (conf != nullptr && IsInvitation(id) && IsKeyId(id) && claim.role == pb::HelloRequest::CHUNKSERVER &&
      AsksAgain(*conf, claim, clock_))
    return FoundKey{.key = DeriveKey(secret_, id), .rights = RightsOfServer(id)};
  const pb::KeyConf* key = conf == nullptr || !IsKeyId(id) ? nullptr : FindKeyById(*conf, id);
  if (key == nullptr)
    return Refused(
        fmt::format("the key {} is not known here: it was revoked, or is another cluster's", shown));
  if (claim.role != RoleOf(key->kind()))
    return Refused(fmt::format("the key {} is for {}", shown, MeantFor(key->kind())));
  if (!key->uuid().empty() && key->uuid() != claim.id)
    return Refused(fmt::format("the key {} is for another chunkserver", shown));
  if (Expired(*key, clock_)) return Refused(fmt::format("the key {} has expired", shown));
  if (!MayComeFrom(*key, claim.address))
    return Refused(fmt::format("the key {} may not be used from {}", shown, claim.address));
  return FoundKey{.key = DeriveKey(secret_, id), .rights = RightsOfKey(*key, id)};
}

Result<FoundKey> ClusterKeyring::OfChunkserver(const PeerClaim& claim) const {
  const std::string& id = claim.key_id;
  const std::string shown = Printable(id, kKeyIdSizeMax);
  if (!IsKeyId(id) || claim.role != pb::HelloRequest::CHUNKSERVER || id != ChunkserverKeyId(claim.id))
    return Refused(
        fmt::format("the key {} is for the chunkserver that it names, and for nobody else", shown));
  const pb::ClusterConf* conf = conf_();
  if (conf == nullptr || FindChunkserver(*conf, claim.id) == nullptr)
    return Refused(
        fmt::format("the chunkserver of the key {} is not of this cluster, or was removed from it: "
                    "'kfs chunkserver invite' lets it in again",
                    shown));
  return FoundKey{.key = DeriveKey(secret_, id), .rights = RightsOfServer(id)};
}

bool ClusterKeyring::Counts(const std::string& id) const {
  const pb::ClusterConf* conf = conf_();
  if (conf == nullptr) return true;
  // Links of chunkservers that were removed end with their registration; an invitation is used up by who
  // came with it.
  if (id.starts_with("chunkserver/") || IsInvitation(id)) return true;
  const pb::KeyConf* key = FindKeyById(*conf, id);
  return key != nullptr && !Expired(*key, clock_);
}

pb::KeyExportReply ClusterKeyring::Export(const std::string& id) const {
  pb::KeyExportReply reply;
  reply.set_key_id(id);
  reply.set_key(DeriveKey(secret_, reply.key_id()));
  if (const pb::ClusterConf* conf = conf_()) reply.set_cluster_id(conf->cluster_id());
  reply.set_cluster_public_key(signing_key_.public_key());
  return reply;
}

}  // namespace kfs::meta

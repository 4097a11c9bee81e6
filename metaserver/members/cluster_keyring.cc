#include "metaserver/members/cluster_keyring.h"

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
                               std::function<const pb::ClusterConf*()> conf,
                               std::shared_ptr<const SeenPeers> seen, std::function<std::string()> self)
    : root_(root),
      signing_key_(SigningKey::FromSecret(root.key())),
      older_signing_key_(root.older() == nullptr
                             ? std::nullopt
                             : std::optional(SigningKey::FromSecret(root.older()->key()))),
      clock_(clock),
      conf_(std::move(conf)),
      seen_(std::move(seen)),
      self_(std::move(self)) {}

bool ClusterKeyring::IsOlder(std::string_view key_id) const {
  return root_.older() != nullptr &&
         KeyGeneration(key_id.empty() ? kRootKeyId : key_id) == root_.older()->generation();
}

std::string ClusterKeyring::Sign(std::string_view text, std::string_view key_id) const {
  return IsOlder(key_id) ? older_signing_key_->Sign(text) : signing_key_.Sign(text);
}

Result<FoundKey> ClusterKeyring::Find(const PeerClaim& claim) const {
  const std::string id = claim.key_id.empty() ? kRootKeyId : claim.key_id;
  const std::string shown = Printable(id, kKeyIdSizeMax);
  if (IsOlder(id)) {
    if (Status s = MayBeOlder(claim); !s.ok()) return s;
  } else if (const uint32_t its = KeyGeneration(id); its != 0 && its != root_.generation()) {
    return Refused(fmt::format(
        "the key {} comes from the root secret {}, which {}; this metaserver has {}", shown, RootKeyId(its),
        its < root_.generation() ? "is accepted no more" : "is not known here yet", root_.key_id()));
  }
  if (id.starts_with("root/")) return OfRoot(claim);
  const pb::ClusterConf* conf = conf_();
  if (id.starts_with("chunkserver/")) return OfChunkserver(claim);
  if (conf != nullptr && IsInvitation(id) && IsKeyId(id) && claim.role == pb::HelloRequest::CHUNKSERVER &&
      AsksAgain(*conf, claim, clock_))
    return FoundKey{.key = root_.Derived(id).key(), .rights = RightsOfServer(id)};
  const pb::KeyConf* key = conf == nullptr || !IsKeyId(id) ? nullptr : FindKeyById(*conf, id);
  if (key == nullptr)
    return Refused(
        fmt::format("the key {} is not known here: it {}was revoked, or is another cluster's", shown,
                    IsInvitation(id) ? "has been used (an invitation lets one chunkserver in), " : ""));
  if (claim.role != RoleOf(key->kind()))
    return Refused(fmt::format("the key {} is for {}", shown, MeantFor(key->kind())));
  if (!key->uuid().empty() && key->uuid() != claim.id)
    return Refused(fmt::format("the key {} is for another chunkserver", shown));
  if (Expired(*key, clock_)) return Refused(fmt::format("the key {} has expired", shown));
  if (!MayComeFrom(*key, claim.address))
    return Refused(fmt::format("the key {} may not be used from {}", shown, claim.address));
  return FoundKey{.key = root_.Derived(id).key(), .rights = RightsOfKey(*key, id)};
}

// The present one has no name in what it has opened: it always counts.
Result<FoundKey> ClusterKeyring::OfRoot(const PeerClaim& claim) const {
  if (claim.key_id != root_.key_id() && IsOlder(claim.key_id))
    return FoundKey{.key = root_.older()->key(), .rights = RightsOfServer(root_.older()->key_id())};
  if (KeyGeneration(claim.key_id.empty() ? kRootKeyId : claim.key_id) != root_.generation())
    return Refused(fmt::format("there is no root secret {}", Printable(claim.key_id, kKeyIdSizeMax)));
  return FoundKey{.key = root_.key(), .rights = nullptr};
}

Result<FoundKey> ClusterKeyring::OfChunkserver(const PeerClaim& claim) const {
  const std::string& id = claim.key_id;
  const std::string shown = Printable(id, kKeyIdSizeMax);
  if (claim.role != pb::HelloRequest::CHUNKSERVER || !IsChunkserverKeyOf(claim.id, id))
    return Refused(
        fmt::format("the key {} is for the chunkserver that it names, and for nobody else", shown));
  const pb::ClusterConf* conf = conf_();
  if (conf == nullptr || FindChunkserver(*conf, claim.id) == nullptr)
    return Refused(
        fmt::format("the chunkserver of the key {} is not of this cluster, or was removed from it: "
                    "'kfs chunkserver invite' lets it in again",
                    shown));
  return FoundKey{.key = root_.Derived(id).key(), .rights = RightsOfServer(id)};
}

bool ClusterKeyring::Counts(const std::string& id) const {
  if (KeyGeneration(id) != root_.generation() && !IsOlder(id)) return false;
  if (id.starts_with("root/")) return true;
  const pb::ClusterConf* conf = conf_();
  if (conf == nullptr) return true;
  // Links of chunkservers that were removed end with their registration; an invitation is used up by who
  // came with it.
  if (id.starts_with("chunkserver/") || IsInvitation(id)) return true;
  const pb::KeyConf* key = FindKeyById(*conf, id);
  return key != nullptr && !Expired(*key, clock_);
}

pb::KeyExportReply ClusterKeyring::Export(const std::string& name) const {
  pb::KeyExportReply reply;
  reply.set_key_id(name.starts_with("chunkserver/") ? name : WithGeneration(name, generation()));
  reply.set_key(root_.Derived(reply.key_id()).key());
  if (const pb::ClusterConf* conf = conf_()) reply.set_cluster_id(conf->cluster_id());
  reply.set_cluster_public_key(signing_key_.public_key());
  return reply;
}

}  // namespace kfs::meta

// Which keys open a metaserver: the cluster's root secret, and those that the configuration has given out.
// Nothing of a key is stored: it is derived from the secret when somebody comes with it. Loop's thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/credentials.h"
#include "metaserver/base/mount_rights.h"
#include "proto/admin.pb.h"
#include "proto/cluster.pb.h"
#include "rpc/connection.h"
#include "rpc/keyring.h"
#include "rpc/seen_peers.h"

namespace kfs::meta {

// What the key of a connection allows, that was found by a ClusterKeyring.
MountRights MountRightsOf(const Connection& connection);

class ClusterKeyring : public Keyring {
 public:
  // `conf`: the configuration in force; null before there is one. FoundKey.rights is a MountRights, also of
  // an administrator's key (its `key` is all that counts there); null with the root secret.
  // `root`: with the older secret while that is accepted (old_secret.cc says of whom); `seen`: who has gone
  // over to the newer one; `self`: this metaserver's uuid.
  ClusterKeyring(
      const Credentials& root, const Clock& clock, std::function<const pb::ClusterConf*()> conf,
      std::shared_ptr<const SeenPeers> seen = std::make_shared<SeenPeers>(),
      std::function<std::string()> self = [] { return std::string(); });

  Result<FoundKey> Find(const PeerClaim& claim) const override;
  std::string Sign(std::string_view text, std::string_view key_id) const override;

  // Whether a key that opened something goes on to: it is neither revoked nor expired. By its id.
  bool Counts(const std::string& id) const;
  // What goes into its file. `name`: as of the first root secret; the key is of the newest one.
  pb::KeyExportReply Export(const std::string& name) const;
  // Of the newest root secret.
  uint32_t generation() const { return root_.generation(); }

  // Whether the older secret, or a key that comes from it, may still be used like this: not by who has been
  // seen with the newer one, nor for administration, nor by who is new.
  Status MayBeOlder(const PeerClaim& claim) const;
  bool IsOlder(std::string_view key_id) const;

 private:
  Result<FoundKey> OfRoot(const PeerClaim& claim) const;
  Result<FoundKey> OfChunkserver(const PeerClaim& claim) const;

  const Credentials root_;
  const SigningKey signing_key_;
  const std::optional<SigningKey> older_signing_key_;
  const Clock& clock_;
  const std::function<const pb::ClusterConf*()> conf_;
  const std::shared_ptr<const SeenPeers> seen_;
  const std::function<std::string()> self_;
};

}  // namespace kfs::meta

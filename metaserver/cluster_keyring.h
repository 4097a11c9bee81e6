// Which keys open a metaserver: the cluster's root secret, and those that the configuration has given out.
// Nothing of a key is stored: it is derived from the secret when somebody comes with it. Loop's thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/credentials.h"
#include "metaserver/executor/session_view.h"
#include "proto/admin.pb.h"
#include "proto/cluster.pb.h"
#include "rpc/connection.h"
#include "rpc/keyring.h"

namespace kfs::meta {

// What the key of a connection allows, that was found by a ClusterKeyring.
MountRights MountRightsOf(const Connection& connection);

class ClusterKeyring : public Keyring {
 public:
  // `conf`: the configuration in force; null before there is one. FoundKey.rights is a MountRights, also of
  // an administrator's key (its `key` is all that counts there); null with the root secret.
  ClusterKeyring(const Credentials& root, const Clock& clock, std::function<const pb::ClusterConf*()> conf);

  Result<FoundKey> Find(const PeerClaim& claim) const override;
  std::string Sign(std::string_view text) const override { return signing_key_.Sign(text); }

  // Whether a key that opened something goes on to: it is neither revoked nor expired. By its id.
  bool Counts(const std::string& id) const;
  // What goes into its file.
  pb::KeyExportReply Export(const std::string& id) const;

 private:
  Result<FoundKey> OfChunkserver(const PeerClaim& claim) const;

  const std::string secret_;
  const SigningKey signing_key_;
  const Clock& clock_;
  const std::function<const pb::ClusterConf*()> conf_;
};

}  // namespace kfs::meta

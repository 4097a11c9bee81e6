// Which keys open a chunkserver: the cluster's root secret where it is known; this chunkserver's own key, for
// metaservers; and keys of links, made out of the latter, for mounts (common/link_key.h). Any thread.
#pragma once

#include <string>

#include "common/clock.h"
#include "common/credentials.h"
#include "rpc/keyring.h"

namespace kfs {

class ChunkKeyring : public Keyring {
 public:
  // `credentials`: the root secret, or the own key.
  ChunkKeyring(const Credentials& credentials, const std::string& uuid, const Clock& clock);
  Result<FoundKey> Find(const PeerClaim& claim) const override;
  std::string Sign(std::string_view, std::string_view) const override { return ""; }

 private:
  const std::string secret_;                  // empty: not known
  const std::string root_id_, key_id_, key_;  // our own
  const Clock& clock_;
};

}  // namespace kfs

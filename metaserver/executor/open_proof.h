// Proofs of what a session has open: given with each open of a session whose key does not open everything,
// and shown by it when a restarted metaserver asks what it holds. Who the callers were, and by which way they
// came to the inode, is not known any more by then, and what a client says of itself is not enough. Pure, any
// thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/types.h"
#include "proto/meta.pb.h"

namespace kfs::meta {

class OpenProofs {
 public:
  // All metaservers of the cluster have the same keys. The first one signs; the others, of root secrets
  // before it, are still believed. Without any nothing is proven.
  OpenProofs() = default;
  explicit OpenProofs(std::vector<std::string> keys) : keys_(std::move(keys)) {}

  pb::OpenProof Sign(VolumeId volume, SessionId session, Ino ino, uint32_t rights) const;
  // The rights that it proves; none: it does not.
  std::optional<uint32_t> Check(VolumeId volume, SessionId session, Ino ino,
                                const pb::OpenProof& proof) const;

 private:
  std::vector<std::string> keys_;
};

}  // namespace kfs::meta

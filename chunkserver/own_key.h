// The key by which a chunkserver links and checks tokens when it does not have the cluster's root secret. It
// gets it once, for an invitation ('kfs chunkserver invite'), and keeps it on its disks:
//
//   <dir>/kfs-disk.key   a key file (common/credentials.h), on every disk; the first that can be read counts
//
// Before the daemon serves; these functions wait for disks and network.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "chunkserver/chunk_store.h"
#include "common/credentials.h"

namespace kfs {

// What this chunkserver links by, when `configured` (of secret-file) is
// - the root secret: that;
// - an invitation that it has used already: the key that it got for it;
// - another invitation: the key that a metaserver gives for it now. ETIMEDOUT in words when none answers
//   within a minute; EACCES when it is not good (any more).
// - a chunkserver's key: that, when it is this chunkserver's.
// EINVAL: another kind of key, or what is kept is of another chunkserver.
Result<Credentials> OwnCredentials(const Credentials& configured, const ChunkStore& store,
                                   const std::vector<std::string>& metaservers,
                                   const std::vector<std::pair<std::string, std::string>>& labels);

}  // namespace kfs

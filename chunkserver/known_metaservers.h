// Which metaservers the cluster has, kept on the disks: a restart finds the cluster even when the machines
// that the configuration names are gone.
//
//   <dir>/kfs-disk.metaservers   on every disk; the newest one that can be read counts
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "chunkserver/chunk_store.h"

namespace kfs {

struct KnownMetaservers {
  std::string cluster_id;
  uint64_t generation = 0;  // of the configuration that said so; 0: nothing is known
  std::vector<std::string> addresses;
};

// Of the store's own cluster. What cannot be read is logged and passed over.
KnownMetaservers ReadKnownMetaservers(const ChunkStore& store);
// Fails when no disk took it. May wait for the disks.
Status WriteKnownMetaservers(const ChunkStore& store, const KnownMetaservers& known);

}  // namespace kfs

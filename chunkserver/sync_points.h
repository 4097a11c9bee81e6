// How far the metadata of each volume has been durable, in its metaserver's words, signed by it: shown to
// each metaserver that we register with, so that one that was started with an older copy of its data learns
// so. We only carry the points, and cannot make one.
//
//   HeartbeatReply -> Learn -> Fill -> RegisterChunkserverRequest
//                          \-> <dir>/kfs-disk.synced on every disk; the latest of each volume counts
//
// Loop's thread, but for Read and Write, which wait for the disks.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "chunkserver/chunk_store.h"
#include "proto/common.pb.h"

namespace kfs {

class SyncPoints {
 public:
  static constexpr size_t kMax = 4096;  // volumes; beyond it those with the lowest numbers are forgotten
  using List = google::protobuf::RepeatedPtrField<pb::SyncPoint>;

  // What the disks have, of the store's own cluster. What cannot be read is logged and passed over.
  static SyncPoints Read(const ChunkStore& store);
  // Fails when no disk took it.
  Status Write(const ChunkStore& store) const;

  void Learn(const List& points);
  void Fill(List* points) const;
  // Rises with each one that is learned.
  uint64_t changes() const { return changes_; }

 private:
  std::map<uint32_t, pb::SyncPoint> latest_;
  uint64_t changes_ = 0;
};

}  // namespace kfs

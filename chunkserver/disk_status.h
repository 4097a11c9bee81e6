// The disks as metaservers are told of them.
#pragma once

#include "chunkserver/chunk_store.h"
#include "proto/chunk.pb.h"

namespace kfs {

// Any thread. With `fresh` the file systems are asked for their room, which may wait for the disks.
void FillDiskStatus(const ChunkStore& store, bool fresh,
                    google::protobuf::RepeatedPtrField<pb::DiskStatus>* out);

}  // namespace kfs

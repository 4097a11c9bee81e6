// Opening a volume: what is to be done with its files and its database, which takes as long as its disk and
// its log take. On any thread: of what others may change meanwhile it gets a copy.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "metaserver/images/image_store.h"
#include "metaserver/store/db.h"
#include "metaserver/store/records.pb.h"
#include "proto/cluster.pb.h"

namespace kfs::meta {

struct VolumeOpening {
  std::string path;  // of its database
  std::string cluster_id;
  pb::VolumeConf conf;
  uint64_t incarnation = 0;  // of this member
  bool known = false;        // it was whole once
  // The copy that the configuration names, if it is here and has not been begun with.
  std::optional<pb::ImageManifest> copy = {};
  bool copy_taken = false;  // set: it has become the database
  uint64_t heard_line = 0;  // SyncPoint.line, the highest that anybody has heard of
};

// SyncPoint.line. A read error is left in the database.
uint64_t LineOf(Db& db);
rec::Volume InfoOf(const pb::VolumeConf& v);
std::string ToRestore(const pb::VolumeConf& v);

// Only `images`' files are touched. Errors say what to do.
Result<std::unique_ptr<Db>> OpenDatabase(VolumeOpening* opening, FileOps& files, const ImageStore& images,
                                         DbMemory& memory);

}  // namespace kfs::meta

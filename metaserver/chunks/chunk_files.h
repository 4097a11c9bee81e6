// Which files have chunks on a chunkserver, by path: a page of a listing that goes by inode numbers, which
// stay what they are however files are renamed meanwhile. Pure reading; any thread.
//
// An inode knows the directory of a name of its, not the name: the directory is searched for it, from where a
// name was found last, since files that were made one after the other stand so in their directory. A page
// looks at a bounded number of records, and says of a file whose name was not among them in which directory
// it is.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/status.h"
#include "metaserver/store/db_view.h"
#include "proto/admin.pb.h"

namespace kfs::meta {

struct ChunkFilesLimits {
  size_t records = 50000;        // of chunks looked at
  size_t names = 200000;         // looked at, and directories on the way to the root
  size_t files = 1000;           // in an answer
  size_t path_bytes = 4096;      // of one; of a longer one the end is told, behind ".../"
  size_t all_bytes = 256 << 10;  // of all paths
};

// EIO: records cannot be read.
Status ChunkFilesPage(DbView& view, const pb::ChunkserverFilesRequest& request,
                      const ChunkFilesLimits& limits, pb::ChunkserverFilesReply* reply);

}  // namespace kfs::meta

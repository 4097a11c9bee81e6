// What a session says it holds, after a restart of the metaserver: one message under way. Thousands of
// inodes, none of which need be in memory.
#pragma once

#include <cstdint>

#include "metaserver/base/call.h"
#include "proto/meta.pb.h"

namespace kfs::meta {

class WantedRecords;

struct Reclaiming {
  CallPtr call;
  pb::ReclaimRequest request;
  pb::ReclaimReply reply;
  bool begun = false;
  bool settled = false;    // the session had said all before: nothing is added
  int open = 0, lock = 0;  // the first of which nothing is known yet
  // Of this piece, as in OpCall.
  std::shared_ptr<WantedRecords> wanted;
  int cold_again = 0;
};

}  // namespace kfs::meta

// Which of the ops that change something (OpInfo::mutates) change what is stored: a metaserver writes those,
// with their answers, to its log. The others change its memory only, and cost no write: after a restart the
// client says what it holds (Reclaim), and what was not answered is executed anew (docs/protocol.md, "Exactly
// once"). One place, because the client counts by it what a metaserver must know of (RecentChanges).
//
// An op is logged unless it is named here: too many logged cost time, one too few could happen twice. What it
// does to the store the executor refuses.
#pragma once

#include <fcntl.h>

#include "proto/meta.pb.h"

namespace kfs {

template <typename Request>
constexpr bool IsLogged(const Request&) {
  return true;
}
inline bool IsLogged(const pb::OpenRequest& r) { return (r.flags() & O_TRUNC) != 0; }
inline bool IsLogged(const pb::ReleaseRequest&) { return false; }
inline bool IsLogged(const pb::SetLockRequest&) { return false; }
inline bool IsLogged(const pb::FlushRequest&) { return false; }

}  // namespace kfs

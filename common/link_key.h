// With what a mount that has no root secret proves itself to a chunkserver: a key that its metaserver makes
// for it, for one chunkserver and one session, out of the chunkserver's own key. The chunkserver makes the
// same one, and needs to be told nothing. It opens the link; what may be read and written over it, tokens
// say. Pure; any thread.
//
//   link/SESSION/EXPIRES     its name; EXPIRES: seconds since the epoch
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"
#include "common/types.h"

namespace kfs {

// Named so that it is the same one for a day, and good for one more at least.
std::string LinkKeyId(SessionId session, TimeNs now);
// `chunkserver_key`: the chunkserver's own, ChunkserverKeyId (common/chunk_token.h).
std::string LinkKey(std::string_view chunkserver_key, std::string_view id);
bool IsLinkKeyId(std::string_view id);
// Until when. EINVAL: it is no link's.
Result<TimeNs> LinkKeyExpires(std::string_view id);

}  // namespace kfs

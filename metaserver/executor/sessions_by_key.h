// The sessions of a volume by the key that they were opened with, and which of them have expired: whoever
// wants room does not look through all. Loop's thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "common/types.h"
#include "metaserver/executor/session.h"

namespace kfs::meta {

class SessionsByKey {
 public:
  // As the session's key and `expired` are now: before either changes it is removed, and added after.
  void Add(const Session& session);
  void Remove(const Session& session);

  // Those opened with the key of this id, expired ones too.
  size_t CountOf(const std::string& key_id) const;
  // The one that has expired the longest ago, of one key's or (null) of all; none: none has.
  std::optional<SessionId> OldestExpired(const std::string* key_id) const;
  size_t expired() const { return expired_; }

 private:
  std::unordered_map<std::string, size_t> counts_;
  std::map<std::string, std::set<std::pair<int64_t, SessionId>>> expired_of_;  // the oldest first
  size_t expired_ = 0;
};

}  // namespace kfs::meta

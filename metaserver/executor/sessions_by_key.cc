#include "metaserver/executor/sessions_by_key.h"

namespace kfs::meta {

void SessionsByKey::Add(const Session& session) {
  const std::string& key = session.rights.key();
  ++counts_[key];
  if (session.expired == 0) return;
  ++expired_;
  expired_of_[key].emplace(session.expired, session.id);
}

void SessionsByKey::Remove(const Session& session) {
  const std::string& key = session.rights.key();
  if (auto of = counts_.find(key); --of->second == 0) counts_.erase(of);
  if (session.expired == 0) return;
  --expired_;
  const auto of = expired_of_.find(key);
  of->second.erase({session.expired, session.id});
  if (of->second.empty()) expired_of_.erase(of);
}

size_t SessionsByKey::CountOf(const std::string& key_id) const {
  auto it = counts_.find(key_id);
  return it == counts_.end() ? 0 : it->second;
}

std::optional<SessionId> SessionsByKey::OldestExpired(const std::string* key_id) const {
  const std::pair<int64_t, SessionId>* oldest = nullptr;
  if (key_id != nullptr) {
    const auto of = expired_of_.find(*key_id);
    if (of != expired_of_.end()) oldest = &*of->second.begin();
  } else {
    for (const auto& [key, expired] : expired_of_) {
      if (oldest == nullptr || *expired.begin() < *oldest) oldest = &*expired.begin();
    }
  }
  return oldest == nullptr ? std::nullopt : std::optional(oldest->second);
}

}  // namespace kfs::meta

#include "metaserver/executor/session_roster.h"

namespace kfs::meta {

void SessionRoster::Rank(const std::string& name, const Origin& origin, bool in) {
  if (origin.expired.empty()) return;
  if (in) {
    with_expired_.emplace(origin.count, name);
  } else {
    with_expired_.erase({origin.count, name});
  }
}

void SessionRoster::Add(const SessionPtr& session) {
  Origin& origin = origins_[session->origin];
  Rank(session->origin, origin, false);
  ++origin.count;
  if (session->expired == 0) {
    live_.insert(session);
  } else {
    expired_.emplace(session->expired, session);
    origin.expired.emplace(session->expired, session);
  }
  Rank(session->origin, origin, true);
}

void SessionRoster::Remove(const SessionPtr& session) {
  auto found = origins_.find(session->origin);
  Origin& origin = found->second;
  Rank(session->origin, origin, false);
  --origin.count;
  if (session->expired == 0) {
    live_.erase(session);
  } else {
    expired_.erase({session->expired, session});
    origin.expired.erase({session->expired, session});
  }
  Rank(session->origin, origin, true);
  if (origin.count == 0) origins_.erase(found);
}

size_t SessionRoster::CountOf(const std::string& origin) const {
  auto found = origins_.find(origin);
  return found == origins_.end() ? 0 : found->second.count;
}

SessionPtr SessionRoster::OldestExpired() const {
  return expired_.empty() ? nullptr : expired_.begin()->second;
}

SessionPtr SessionRoster::OldestExpiredOf(const std::string& origin) const {
  auto found = origins_.find(origin);
  if (found == origins_.end() || found->second.expired.empty()) return nullptr;
  return found->second.expired.begin()->second;
}

SessionPtr SessionRoster::ExpiredOfTheGreediest() const {
  return with_expired_.empty() ? nullptr : OldestExpiredOf(with_expired_.rbegin()->second);
}

}  // namespace kfs::meta

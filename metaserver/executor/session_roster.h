// The sessions of a volume as room is made among them: those that live, and the expired ones by the time of
// their expiry, of all and of each machine. Loop's thread only.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "metaserver/executor/session.h"

namespace kfs::meta {

class SessionRoster {
 public:
  // REQUIRES: `expired` and `origin` do not change between the two.
  void Add(const SessionPtr& session);
  void Remove(const SessionPtr& session);

  const std::set<SessionPtr>& live() const { return live_; }
  size_t CountOf(const std::string& origin) const;
  // Null: none.
  SessionPtr OldestExpired() const;
  SessionPtr OldestExpiredOf(const std::string& origin) const;
  // Of the machine that has the most sessions among those that have an expired one.
  SessionPtr ExpiredOfTheGreediest() const;

 private:
  using ByTime = std::set<std::pair<int64_t, SessionPtr>>;
  struct Origin {
    size_t count = 0;
    ByTime expired;
  };
  void Rank(const std::string& name, const Origin& origin, bool in);

  std::set<SessionPtr> live_;
  ByTime expired_;
  std::map<std::string, Origin> origins_;
  std::set<std::pair<size_t, std::string>> with_expired_;  // by how many sessions they have
};

}  // namespace kfs::meta

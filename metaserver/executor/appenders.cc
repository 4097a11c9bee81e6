#include "metaserver/executor/appenders.h"

#include <algorithm>

namespace kfs::meta {

Appender* Appenders::Find(Ino ino) {
  auto it = appenders_.find(ino);
  return it == appenders_.end() ? nullptr : &it->second;
}

void Appenders::Grant(Ino ino, Session& session, uint8_t lane) {
  Appender& a = appenders_[ino];
  a.token = next_token_++;
  a.session = session.id;
  a.lane = lane;
  a.granted = clock_.MonoNow();
  session.append_tokens.insert(ino);
}

void Appenders::End(Ino ino, Session* session, bool clean) {
  auto it = appenders_.find(ino);
  if (it == appenders_.end()) return;
  if (session != nullptr) session->append_tokens.erase(ino);
  if (!clean) safe_.erase(ino);
  std::deque<ParkedPtr> waiters = std::move(it->second.waiters);
  appenders_.erase(it);
  // All run again, in order: the first takes the token, the others queue behind it as they stood.
  for (ParkedPtr& p : waiters) env_.Rerun(std::move(p));
}

std::vector<std::pair<Ino, SessionId>> Appenders::TooLong() const {
  const MonoTime since = clock_.MonoNow() - kTurn;
  std::vector<std::pair<Ino, SessionId>> over;
  for (const auto& [ino, a] : appenders_) {
    const bool awaited = std::any_of(a.waiters.begin(), a.waiters.end(),
                                     [](const ParkedPtr& p) { return p->call != nullptr; });
    if (awaited && a.granted < since) over.emplace_back(ino, a.session);
  }
  return over;
}

void Appenders::SetSafe(Ino ino) {
  // Forgetting costs an empty mutation, nothing else.
  if (safe_.size() >= kSafeMax) safe_.clear();
  safe_.insert(ino);
}

}  // namespace kfs::meta

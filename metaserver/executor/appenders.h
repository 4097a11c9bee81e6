// Who may write at the end of a file: one at a time, in turns (ops/appends.h says why). Its session's, whose
// append_tokens are kept in step. Loop's thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/types.h"
#include "metaserver/base/call.h"
#include "metaserver/executor/session.h"
#include "metaserver/executor/volume_env.h"

namespace kfs::meta {

struct Appender {
  uint64_t token = 0;
  SessionId session;
  uint8_t lane = 0;  // of it
  MonoTime granted{};
  std::deque<ParkedPtr> waiters;
};

class Appenders {
 public:
  static constexpr size_t kWaitersMax = 4096;  // of one inode
  static constexpr size_t kSafeMax = 100000;
  static constexpr auto kTurn = std::chrono::seconds(10);  // while others wait

  // Tokens of an earlier incarnation must not look like ours: `first_token` is drawn.
  Appenders(Clock& clock, VolumeEnv& env, uint64_t first_token)
      : clock_(clock), env_(env), next_token_(first_token) {}

  Appender* Find(Ino ino);
  uint64_t next_token() const { return next_token_; }
  void Grant(Ino ino, Session& session, uint8_t lane);  // with that one
  // Gives the token back and lets the next one run. `session`: null, it is gone. `clean`: the holder has no
  // writes under way.
  void End(Ino ino, Session* session, bool clean);
  // Who has kept others waiting for too long has its turn no more: its write, which may be on its way, is
  // fenced off by the chunks' versions, and it appends again.
  std::vector<std::pair<Ino, SessionId>> TooLong() const;

  // Whether late writes of a former appender cannot reach the inode's last chunk.
  bool Safe(Ino ino) const { return safe_.contains(ino); }
  void SetSafe(Ino ino);
  void Forget(Ino ino) { safe_.erase(ino); }  // the inode has gone

 private:
  Clock& clock_;
  VolumeEnv& env_;
  std::unordered_map<Ino, Appender> appenders_;
  std::unordered_set<Ino> safe_;
  uint64_t next_token_;
};

}  // namespace kfs::meta

#include "tests/sim/oracle/late.h"

#include <algorithm>
#include <vector>

namespace kfs::sim {
namespace {

bool Well(const Step& step) { return step.ended != kNever && step.err == 0; }

// When the program has got the lock that it had when it began to write; kNever: it had none.
int64_t LockedAt(const std::vector<const Step*>& locks, const Step& write) {
  int64_t at = kNever;
  for (const Step* step : locks) {
    if (step->program != write.program || step->block != write.block) continue;
    if (step->call == Call::kLock && Well(*step) && step->ended <= write.began) at = step->ended;
    // One without an end nobody has asked for: the program does not know that its lock has gone.
    if (step->call == Call::kUnlock && step->ended != kNever && step->began <= write.began) at = kNever;
  }
  return at;
}

int64_t LockTaken(const std::vector<const Step*>& locks, const Step& write) {
  const int64_t since = LockedAt(locks, write);
  int64_t by = kNever;
  if (since == kNever) return by;
  for (const Step* step : locks) {
    const bool others = step->call == Call::kLock && step->program != write.program && Well(*step);
    if (others && step->block == write.block && step->began >= since) by = std::min(by, step->ended);
  }
  return by;
}

// Of another mount; a call that came before the word of the death was waited for by none, so the first one only shows
// that the metaserver is past that.
int64_t MountDead(const History& history, const std::vector<const Step*>& data, const Step& write) {
  int64_t by = kNever;
  for (const Death& death : history.deaths) {
    if (death.client != write.client) continue;
    int64_t heard = kNever;
    for (const Step* step : data) {
      if (step->client != write.client && step->began > death.heard && Well(*step))
        heard = std::min(heard, step->ended);
    }
    for (const Step* step : data) {
      const bool others = step->client != write.client && step->block == write.block && Well(*step);
      if (others && step->began > heard) by = std::min(by, step->ended);
    }
  }
  return by;
}

}  // namespace

std::map<const Step*, int64_t> LatestOfWrites(const History& history) {
  std::map<uint64_t, std::vector<const Step*>> locks, data;  // of each file
  for (const Step& step : history.steps) {
    if (step.call == Call::kLock || step.call == Call::kUnlock) locks[step.ino].push_back(&step);
    if (step.call == Call::kRead || step.call == Call::kWrite) data[step.ino].push_back(&step);
  }
  std::map<const Step*, int64_t> latest;
  for (const Step& step : history.steps) {
    if (step.ended != kNever || step.call != Call::kWrite) continue;
    const int64_t by = std::min(LockTaken(locks[step.ino], step), MountDead(history, data[step.ino], step));
    if (by != kNever) latest[&step] = by;
  }
  return latest;
}

}  // namespace kfs::sim

#include "tests/sim/oracle/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <utility>

#include "tests/sim/oracle/late.h"
#include "tests/sim/oracle/model.h"
#include "tests/sim/oracle/search.h"

namespace kfs::sim {
namespace {

enum class Part { kNames, kContent, kLocks };

Part PartOf(Call call) {
  switch (call) {
    case Call::kRead:
    case Call::kWrite:
    case Call::kAppend:
    case Call::kTruncate:
    case Call::kSize:
    case Call::kSyncFile:
      return Part::kContent;
    case Call::kLock:
    case Call::kUnlock:
      return Part::kLocks;
    default:
      return Part::kNames;
  }
}

// Its chunk may have been cut after the data was there and before it was committed, or the word that it is there
// been lost: then it is written again, and others may have seen it, and written over it, before
// (docs/simulation.md: what is let pass).
bool WrittenAgain(const Step& write, const std::vector<const Step*>& steps,
                  const std::vector<Break>& breaks) {
  if (write.call != Call::kWrite) return false;
  const bool cut = std::ranges::any_of(steps, [&](const Step* cut) {
    return cut->call == Call::kTruncate && cut->began < write.ended && write.began < cut->ended;
  });
  return cut || (write.ended != kNever && std::ranges::any_of(breaks, [&](const Break& b) {
                   return b.client == write.client && write.began <= b.at && b.at <= write.ended;
                 }));
}

// A lock is in the metaserver's memory until its answer is heard. When that is lost with a metaserver, the lock
// has been there all the same: others may have been refused for it, and its call begins anew.
void HeldUntilCrash(const Step& lock, const std::vector<int64_t>& crashes, std::deque<Step>* lost,
                    std::map<const Step*, int64_t>* until) {
  if (lock.call != Call::kLock) return;
  int64_t crash = kNever;
  for (const int64_t at : crashes) {
    if (lock.began < at && at < lock.ended && (crash == kNever || at > crash)) crash = at;
  }
  if (crash == kNever) return;
  for (const Call call : {Call::kLock, Call::kUnlock}) {
    lost->push_back(lock);
    lost->back().call = call;
    lost->back().ended = kNever;
    (*until)[&lost->back()] = crash;
  }
}

// A change of names that was done, and seen, and went with a metaserver's power before its answer came, is done
// anew: it may come to another end then, what is made has another number. What was done first ended as nobody
// knows.
void DoneAndLost(const Step& change, const std::vector<PowerLoss>& losses, std::deque<Step>* lost,
                 std::map<const Step*, int64_t>* until, std::map<const Step*, const Step*>* instead) {
  if (change.call == Call::kLookup || change.call == Call::kList || change.call == Call::kSyncDir) return;
  int64_t last = kNever;
  for (const PowerLoss& loss : losses) {
    if (change.began <= loss.at && loss.at <= change.ended) last = loss.at;
  }
  if (last == kNever || change.ended == kNever) return;
  lost->push_back(change);
  lost->back().ended = kNever;
  (*until)[&lost->back()] = last;
  (*instead)[&lost->back()] = &change;
}

// A reader that has been told the size before a metaserver lost its power goes by it, and what that power took
// from the end of the file may be written anew, and never be committed (docs/simulation.md: what is let pass).
bool ReadAcrossLoss(const Step& read, const std::vector<const Step*>& steps,
                    const std::vector<PowerLoss>& losses) {
  if (read.call != Call::kRead) return false;
  const bool across = std::ranges::any_of(
      losses, [&](const PowerLoss& loss) { return read.began <= loss.at && loss.at <= read.ended; });
  return across && std::ranges::any_of(steps, [&](const Step* write) {
           return write->ended == kNever && write->value == read.got && write->began < read.ended &&
                  (write->call == Call::kWrite || write->call == Call::kAppend);
         });
}

}  // namespace

Verdict Check(const History& history) {
  std::vector<const Step*> names;
  std::map<uint64_t, std::vector<const Step*>> contents, locks;
  for (const Step& step : history.steps) {
    switch (PartOf(step.call)) {
      case Part::kNames:
        names.push_back(&step);
        break;
      case Part::kContent:
        contents[step.ino].push_back(&step);
        break;
      case Part::kLocks:
        locks[step.ino].push_back(&step);
        break;
    }
  }
  std::vector<PowerLoss> of_names;
  std::vector<PowerLoss> of_data;
  for (const PowerLoss& loss : history.losses) {
    if (loss.of_data) {
      of_data.push_back(loss);
    } else {
      of_names.push_back(loss);
    }
  }
  Verdict all;
  auto take = [&all](const Verdict& one) {
    all.tried += one.tried;
    all.gave_up |= one.gave_up;
    if (one.ok) return;
    all.ok = false;
    all.why += one.why;
  };
  for (const Step& step : history.steps) {
    if (step.ended == kNever || std::ranges::count(EndsOf(step.call), step.err) != 0) continue;
    take({.ok = false, .why = "calls: one never ends like this:\n  " + step.ToString() + "\n"});
  }
  {
    std::deque<Step> lost;
    std::map<const Step*, int64_t> until;
    std::map<const Step*, const Step*> instead;
    for (const Step* step : names) DoneAndLost(*step, of_names, &lost, &until, &instead);
    for (const Step& step : lost) names.push_back(&step);
    take(Search("names", std::move(names), of_names,
                {.latest = until, .instead = instead, .syncs_may_fail = history.forgets_sessions},
                std::make_unique<Names>()));
  }
  std::map<const Step*, int64_t> latest = LatestOfWrites(history);
  for (auto& [ino, steps] : contents) {
    const std::vector<const Step*> of_file = steps;
    std::erase_if(steps, [&](const Step* step) { return ReadAcrossLoss(*step, of_file, of_names); });
    std::deque<Step> twice;
    std::map<const Step*, const Step*> before;
    for (const Step* write : steps) {
      if (!WrittenAgain(*write, steps, history.breaks)) continue;
      twice.push_back(*write);
      before[&twice.back()] = write;
      if (const auto by = latest.find(write); by != latest.end()) latest[&twice.back()] = by->second;
    }
    for (const Step& step : twice) steps.push_back(&step);
    take(Search(fmt::format("content of {}", ino), std::move(steps), history.losses,
                {.before = before, .latest = latest, .syncs_may_fail = history.forgets_sessions},
                std::make_unique<Content>(of_data)));
  }
  for (auto& [ino, steps] : locks) {
    std::deque<Step> lost;
    std::map<const Step*, int64_t> until;
    for (const Step* step : steps) HeldUntilCrash(*step, history.crashes, &lost, &until);
    for (const Step& step : lost) steps.push_back(&step);
    take(Search(fmt::format("locks of {}", ino), std::move(steps), {}, {.latest = until},
                std::make_unique<Locks>()));
  }
  return all;
}

}  // namespace kfs::sim

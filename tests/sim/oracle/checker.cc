#include "tests/sim/oracle/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <unordered_set>
#include <utility>

#include "tests/sim/oracle/late.h"
#include "tests/sim/oracle/model.h"

namespace kfs::sim {
namespace {

constexpr uint64_t kTriedMax = 2'000'000;
// Programs have one call under way each: more than these at once are few.
constexpr size_t kUnderWayMax = 8;

// The search for an order of the calls of one part.
class Search {
 public:
  // `before`: of those that may be done or not, and that before another one. `latest`: by when it is done, of
  // those that may be done or not.
  Search(std::string part, std::vector<const Step*> steps, std::vector<PowerLoss> losses,
         const std::map<const Step*, const Step*>& before = {},
         const std::map<const Step*, int64_t>& latest = {})
      : part_(std::move(part)), steps_(std::move(steps)), losses_(std::move(losses)), done_(steps_.size()) {
    std::ranges::stable_sort(steps_, {}, [](const Step* s) { return s->began; });
    std::ranges::stable_sort(losses_, {}, &PowerLoss::at);
    for (const Step* step : steps_) {
      const auto it = before.find(step);
      before_.push_back(it == before.end()
                            ? kNone
                            : static_cast<size_t>(std::ranges::find(steps_, it->second) - steps_.begin()));
      const auto by = latest.find(step);
      latest_.push_back(by == latest.end() ? kNever : by->second);
    }
  }

  Verdict Run(std::unique_ptr<Model> model) {
    state_ = std::move(model);
    const bool found = Go();
    Verdict v;
    v.tried = tried_;
    v.gave_up = !found && tried_ >= kTriedMax;
    v.ok = found || v.gave_up;
    if (!v.ok) v.why = Explain();
    return v;
  }

 private:
  // One call that has been put in order, and the state before it.
  struct Done {
    size_t step;
    std::shared_ptr<const Model> before;
  };

  bool Go() {
    if (++tried_ >= kTriedMax) return false;
    while (first_ < steps_.size() && done_[first_]) ++first_;
    const int64_t loss = next_loss_ < losses_.size() ? losses_[next_loss_].at : kNever;
    // Nothing may come before what had ended when it began.
    int64_t bound = loss;
    bool all = true;
    for (size_t i = first_; i < steps_.size(); ++i) {
      if (done_[i]) continue;
      if (EndOf(i) != kNever) all = false;
      bound = std::min(bound, EndOf(i));
      if (steps_[i]->began > bound) break;
    }
    if (all && loss == kNever && AllHeardDone()) return true;
    if (!seen_.insert(Key()).second) return false;
    for (size_t i = first_; i < steps_.size() && steps_[i]->began <= bound; ++i) {
      if (!done_[i] && Try(i)) return true;
    }
    if (loss == kNever || bound < loss) return false;
    return losses_[next_loss_].of_data ? LoseData(loss) : Lose(loss);
  }

  // By when it must have been done.
  int64_t EndOf(size_t i) const { return before_[i] == kNone ? steps_[i]->ended : kNever; }

  // Something has been done that began when it could not be done any more.
  bool TooLate(size_t i) const {
    for (size_t n = steps_.size(); n-- > 0 && steps_[n]->began > latest_[i];) {
      if (done_[n]) return true;
    }
    return false;
  }

  bool AllHeardDone() const {
    for (size_t i = first_; i < steps_.size(); ++i) {
      if (!done_[i] && EndOf(i) != kNever) return false;
    }
    return true;
  }

  bool Try(size_t i) {
    const Step& step = *steps_[i];
    if (before_[i] != kNone && done_[before_[i]]) return false;
    if (TooLate(i)) return false;
    const bool sync = step.call == Call::kSyncDir || step.call == Call::kSyncFile;
    // What was lost may be of another part.
    if (sync && step.err == EIO && next_loss_ == 0) return false;
    // Whose changes were lost is told so, once and for all, with the file as it was opened before.
    const bool well = step.err == 0 && step.ended != kNever;
    if (step.call == Call::kSyncFile && well && !step.anew && have_lost_.contains(step.client)) return false;
    auto after = state_->Copy();
    if (!after->Do(step)) return false;
    std::shared_ptr<const Model> before = std::exchange(state_, std::move(after));
    order_.push_back({i, before});
    const size_t first = first_, durable = durable_;
    if (sync && well) durable_ = order_.size();
    done_[i] = true;
    Deepest();
    if (Go()) return true;
    done_[i] = false;
    first_ = std::min(first, i);
    durable_ = durable;
    order_.pop_back();
    state_ = before;
    return false;
  }

  // The power goes: of the calls that are not durable any number may be gone, the latest first. What had not
  // been answered yet was told all the same, the answer being on its way, or is done once more.
  bool Lose(int64_t loss) {
    const auto order = order_;
    const auto state = state_;
    const size_t first = first_, durable = durable_;
    const auto done = done_;
    const auto have_lost = have_lost_;
    ++next_loss_;
    std::vector<size_t> under_way;  // of those that are gone
    for (size_t keep = order.size() + 1; keep-- > durable;) {
      if (keep < order.size()) {
        const Step& gone = *steps_[order[keep].step];
        if (gone.ended >= loss) {
          under_way.push_back(order[keep].step);
        } else if (ChangesContent(gone.call)) {
          have_lost_.insert(gone.client);
        }
      }
      order_ = {order.begin(), order.begin() + static_cast<std::ptrdiff_t>(keep)};
      state_ = Back(order, state, keep);
      const uint64_t ways = uint64_t{1} << std::min(under_way.size(), kUnderWayMax);
      for (uint64_t again = 0; again < ways; ++again) {
        done_ = done;
        for (size_t i = 0; i < under_way.size(); ++i)
          done_[under_way[i]] = i < kUnderWayMax && (again >> i & 1) != 0;
        first_ = 0;
        // What is left is durable; unless nothing was lost, for it was another server's power.
        durable_ = keep == order.size() && losses_[next_loss_ - 1].perhaps ? durable : keep;
        if (Go()) return true;
      }
    }
    --next_loss_;
    order_ = order;
    state_ = state;
    first_ = first;
    durable_ = durable;
    done_ = done;
    have_lost_ = have_lost;
    return false;
  }

  // Data is gone, in whatever state the names will be.
  bool LoseData(int64_t loss) {
    const auto order = order_;
    const auto state = state_;
    const size_t first = first_;
    std::vector<const Step*> under_way;
    for (size_t i = first_; i < steps_.size() && steps_[i]->began <= loss; ++i) {
      if (!done_[i]) under_way.push_back(steps_[i]);
    }
    auto lost = [&](const std::shared_ptr<const Model>& of) -> std::shared_ptr<const Model> {
      std::shared_ptr<Model> model = of->Copy();
      model->LostData(under_way);
      return model;
    };
    state_ = lost(state);
    for (size_t n = durable_; n < order_.size(); ++n) order_[n].before = lost(order_[n].before);
    ++next_loss_;
    if (Go()) return true;
    --next_loss_;
    order_ = order;
    state_ = state;
    first_ = first;
    return false;
  }

  static bool ChangesContent(Call call) {
    return call == Call::kWrite || call == Call::kAppend || call == Call::kTruncate;
  }
  static std::shared_ptr<const Model> Back(const std::vector<Done>& order,
                                           const std::shared_ptr<const Model>& state, size_t keep) {
    if (keep == order.size()) return state;
    std::shared_ptr<Model> back = order[keep].before->Copy();
    for (size_t n = keep + 1; n < order.size(); ++n) back->FellBackFrom(*order[n].before);
    back->FellBackFrom(*state);
    return back;
  }

  // What is ahead depends on nothing else.
  std::string Key() const {
    std::string key = fmt::format("{}:{}:{}:", first_, next_loss_, fmt::join(have_lost_, ","));
    for (size_t i = first_; i < done_.size(); ++i) {
      // Beyond what can have begun nothing is done.
      key += done_[i] ? '1' : '0';
    }
    while (!key.empty() && key.back() == '0') key.pop_back();
    key += '|' + state_->State();
    if (next_loss_ < losses_.size()) {
      for (size_t n = durable_; n < order_.size(); ++n)
        key += fmt::format("|{}<{}", order_[n].before->State(), order_[n].step);
    }
    return key;
  }

  void Deepest() {
    const auto done = static_cast<size_t>(std::ranges::count(done_, true));
    if (done <= deepest_) return;
    deepest_ = done;
    deepest_state_ = state_->State();
    deepest_done_ = done_;
  }

  std::string Explain() const {
    std::string why = fmt::format("{}: no order of the calls explains them; {} of {} do up to here: {}\n",
                                  part_, deepest_, steps_.size(), deepest_state_);
    int shown = 0;
    for (size_t i = 0; i < steps_.size() && shown < 12; ++i) {
      if (!deepest_done_.empty() && deepest_done_[i]) continue;
      why += "  " + steps_[i]->ToString() + "\n";
      ++shown;
    }
    return why;
  }

  static constexpr size_t kNone = SIZE_MAX;
  const std::string part_;
  std::vector<const Step*> steps_;
  std::vector<size_t> before_;  // in steps_
  std::vector<int64_t> latest_;
  std::vector<PowerLoss> losses_;
  std::vector<bool> done_;
  size_t first_ = 0;  // all before are done
  size_t next_loss_ = 0, durable_ = 0;
  std::set<int> have_lost_;  // clients
  std::vector<Done> order_;
  std::shared_ptr<const Model> state_;
  std::unordered_set<std::string> seen_;
  uint64_t tried_ = 0;
  size_t deepest_ = 0;
  std::string deepest_state_;
  std::vector<bool> deepest_done_;
};

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

// Its chunk may have been cut after the data was there and before it was committed: then it is written again,
// and others may have seen it, and written over it, before (docs/simulation.md: what is let pass).
bool WrittenAgain(const Step& write, const std::vector<const Step*>& steps) {
  return write.call == Call::kWrite && std::ranges::any_of(steps, [&](const Step* cut) {
           return cut->call == Call::kTruncate && cut->began < write.ended && write.began < cut->ended;
         });
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
  take(Search("names", std::move(names), of_names).Run(std::make_unique<Names>()));
  std::map<const Step*, int64_t> latest = LatestOfWrites(history);
  for (auto& [ino, steps] : contents) {
    std::deque<Step> twice;
    std::map<const Step*, const Step*> before;
    for (const Step* write : steps) {
      if (!WrittenAgain(*write, steps)) continue;
      twice.push_back(*write);
      before[&twice.back()] = write;
      if (const auto by = latest.find(write); by != latest.end()) latest[&twice.back()] = by->second;
    }
    for (const Step& step : twice) steps.push_back(&step);
    take(Search(fmt::format("content of {}", ino), std::move(steps), history.losses, before, latest)
             .Run(std::make_unique<Content>(of_data)));
  }
  for (auto& [ino, steps] : locks) {
    std::deque<Step> lost;
    std::map<const Step*, int64_t> until;
    for (const Step* step : steps) HeldUntilCrash(*step, history.crashes, &lost, &until);
    for (const Step& step : lost) steps.push_back(&step);
    take(Search(fmt::format("locks of {}", ino), std::move(steps), {}, {}, until)
             .Run(std::make_unique<Locks>()));
  }
  return all;
}

}  // namespace kfs::sim

#include "tests/sim/oracle/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <unordered_set>
#include <utility>

namespace kfs::sim {
namespace {

constexpr uint64_t kTriedMax = 2'000'000;
// Programs have one call under way each: more than these at once are few.
constexpr size_t kUnderWayMax = 8;

// The search for an order of the calls of one part.
class Searching {
 public:
  Searching(std::string part, std::vector<const Step*> steps, std::vector<PowerLoss> losses,
            const Bounds& bounds)
      : part_(std::move(part)), steps_(std::move(steps)), losses_(std::move(losses)), done_(steps_.size()) {
    syncs_may_fail_ = bounds.syncs_may_fail;
    std::ranges::stable_sort(steps_, {}, [](const Step* s) { return s->began; });
    std::ranges::stable_sort(losses_, {}, &PowerLoss::at);
    const auto place = [&](const std::map<const Step*, const Step*>& of, const Step* step) {
      const auto it = of.find(step);
      return it == of.end() ? kNone
                            : static_cast<size_t>(std::ranges::find(steps_, it->second) - steps_.begin());
    };
    stand_in_.resize(steps_.size(), kNone);
    for (const Step* step : steps_) {
      if (const size_t of = place(bounds.instead, step); of != kNone) stand_in_[of] = before_.size();
      before_.push_back(std::min(place(bounds.before, step), place(bounds.instead, step)));
      const auto by = bounds.latest.find(step);
      latest_.push_back(by == bounds.latest.end() ? kNever : by->second);
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
    if (next_loss_ > 0 && losses_[next_loss_ - 1].at >= latest_[i]) return true;
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
    if (stand_in_[i] != kNone && done_[stand_in_[i]]) return false;
    if (TooLate(i)) return false;
    const bool sync = step.call == Call::kSyncDir || step.call == Call::kSyncFile;
    // What was lost may be of another part.
    if (sync && step.err == EIO && next_loss_ == 0 && !syncs_may_fail_) return false;
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
    std::vector<size_t> under_way, unknown;  // of those that are gone
    for (size_t keep = order.size() + 1; keep-- > durable;) {
      if (keep < order.size()) {
        const Step& gone = *steps_[order[keep].step];
        if (latest_[order[keep].step] <= loss) {
          unknown.push_back(order[keep].step);  // nobody was told, and it cannot be done any more
        } else if (gone.ended >= loss) {
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
        for (const size_t i : unknown) done_[i] = false;
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
  std::vector<size_t> before_, stand_in_;  // in steps_
  std::vector<int64_t> latest_;
  std::vector<PowerLoss> losses_;
  std::vector<bool> done_;
  bool syncs_may_fail_ = false;
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

}  // namespace

Verdict Search(std::string part, std::vector<const Step*> steps, std::vector<PowerLoss> losses,
               const Bounds& bounds, std::unique_ptr<Model> model) {
  return Searching(std::move(part), std::move(steps), std::move(losses), bounds).Run(std::move(model));
}

}  // namespace kfs::sim

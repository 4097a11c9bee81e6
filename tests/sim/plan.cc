#include "plan.h"

#include <random>

namespace kfs::sim {
namespace {

class Throws {
 public:
  explicit Throws(uint64_t seed) : random_(seed) {}
  bool OneIn(uint64_t n) { return random_() % n == 0; }
  uint64_t Below(uint64_t n) { return random_() % n; }
  double UpTo(double most) { return Between(0, most); }
  double Between(double least, double most) { return std::uniform_real_distribution<>(least, most)(random_); }
  // Of one in `n` histories.
  double Rarely(uint64_t n, double most) { return OneIn(n) ? UpTo(most) : 0; }

 private:
  std::mt19937_64 random_;
};

// A little late, or later than a lock lives: then others have had their turn in between.
void LateCommits(bool past_the_lease, double chance, Faults* f) {
  f->late_commit = chance;
  f->commit_late_ms_min = past_the_lease ? 4000 : 0;
  f->commit_late_ms_max = past_the_lease ? 9000 : 2000;
}

// Up to a network in which hardly anything works.
Faults Storm(Throws& t) {
  Faults f;
  f.drop = t.UpTo(0.25);
  f.twice = t.UpTo(0.2);
  f.late = t.UpTo(0.15);
  f.drop_commit = t.Rarely(3, 0.9);
  const double late_commit = t.Rarely(3, 0.9);
  LateCommits(t.OneIn(2), late_commit, &f);
  f.crash = t.Rarely(2, 0.1);
  f.crash_sending = t.Rarely(5, 0.1);
  f.crash_each_s = t.UpTo(0.5);
  f.cut_each_s = t.UpTo(0.5);
  f.wipe_each_s = t.Rarely(3, 0.3);
  f.hold_each_s = t.Rarely(4, 0.3);
  f.bricks_fail = t.UpTo(0.1);
  f.bricks_late = t.Rarely(3, 0.3);
  f.bricks_silent = t.Rarely(3, 0.2);
  f.full_each_s = t.Rarely(4, 0.4);
  f.slow_sync = t.Rarely(2, 0.9);
  return f;
}

// Most things work, but commits. Attempts get as far as that, and leave values behind that some have
// accepted.
Faults LameCommits(Throws& t) {
  Faults f;
  f.drop = t.UpTo(0.05);
  f.twice = t.Rarely(2, 0.1);
  f.late = t.Rarely(2, 0.05);
  f.crash_each_s = t.UpTo(0.05);
  f.cut_each_s = t.UpTo(0.5);
  switch (t.Below(4)) {
    case 0:
      f.drop_commit = t.Between(0.3, 0.9);
      break;
    case 1:
      LateCommits(true, t.Between(0.3, 0.9), &f);
      break;
    case 2:
      f.hold_each_s = t.UpTo(0.4);
      break;
    default:
      f.crash_proposing = t.Between(0.3, 0.9);
      f.crash_deciding = t.Between(0, 0.5);
  }
  f.slow_sync = t.Rarely(3, 0.5);
  return f;
}

}  // namespace

Plan PlanOf(uint64_t seed) {
  Throws t(seed * 7919);
  Plan p;
  p.members = p.machines = 3 + 2 * t.Below(3);
  p.disaster = seed % 6 == 5;
  if (t.OneIn(5)) {
    // From a single one to several, and back.
    p.members = p.members_min = 1;
    p.regroup_of = 3;
  }
  if (t.OneIn(10)) return p;  // nothing goes wrong
  const bool lame = t.OneIn(3);
  p.faults = lame ? LameCommits(t) : Storm(t);
  // Of two members none may lose its state.
  if (p.members_min < 3) p.faults.wipe_each_s = 0;
  p.faults.cuts_are_noticed = t.OneIn(2);
  if (lame) {
    p.busy = false;
    p.pause_ms_max = 6000;
    p.timeout_ms_max = 3000;
    p.steps = 16;
  }
  return p;
}

}  // namespace kfs::sim

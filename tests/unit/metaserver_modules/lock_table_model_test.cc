// LockTable against the model: random operations; what is held, every outcome and the order of grants must
// agree, also where the table does its work in steps of one.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/unit/metaserver_modules/lock_model.h"

namespace kfs::meta {
namespace {

using Outcome = LockTable::Outcome;

class LockTableModelTest : public testing::TestWithParam<uint32_t> {};

TEST_P(LockTableModelTest, AgreesWithTheByteMap) {
  std::mt19937 rng(GetParam());
  LockTable table{1};
  int unsettled = 0;
  if (GetParam() % 2 == 0) {
    table.InSteps([] {}, [&unsettled](Ino) { ++unsettled; }, /*step=*/1);
  }
  LockModel model;
  LockModel::Grants got, want;
  std::vector<LockOwner> owners;
  for (uint64_t s = 1; s <= 3; ++s) {
    for (uint64_t o = 1; o <= 2; ++o) owners.push_back({SessionId(s), o});
  }
  const Ino inos[] = {Ino(5), Ino(6)};
  std::map<Outcome, int> outcomes;
  uint64_t next_id = 1;

  for (int step = 0; step < 4000; ++step) {
    const Ino ino = inos[rng() % 2];
    const LockOwner owner = owners[rng() % owners.size()];
    const bool flock = rng() % 5 == 0;
    got.clear();
    want.clear();
    const uint32_t dice = rng() % 100;
    if (dice < 80) {
      LockRequest r{.type = static_cast<LockType>(rng() % 3), .flock = flock};
      r.start = rng() % kModelBytes;
      r.end = std::min(r.start + rng() % 8, kModelBytes - 1);
      LockRequest real = r;
      real.end = RealEnd(r.end);
      const bool wait = rng() % 2 == 0;
      const uint64_t id = next_id++;
      const auto held = table.Test(ino, owner, real);
      ASSERT_EQ(held.has_value(), model.Blocked(ino, owner, r)) << "step " << step;
      const Outcome expected = model.Set(ino, owner, r, wait, id, &want);
      const Outcome outcome = table.Set(
          ino, owner, real, wait, [&got, id](Status s) { got.emplace_back(id, s.err()); }, id);
      ASSERT_EQ(outcome, expected) << "step " << step;
      ++outcomes[outcome];
    } else if (dice < 90) {
      model.ReleaseOwner(ino, owner, flock, &want);
      table.ReleaseOwner(ino, owner, flock);
    } else if (dice < 98) {
      const uint64_t id = next_id - 1 - rng() % std::min<uint64_t>(next_id, 30);
      ASSERT_EQ(table.CancelWaiter(owner.session, id), model.Cancel(owner.session, id, &want));
    } else {
      model.ReleaseSession(owner.session, &want);
      table.EndSession(owner.session);
      // While it leaves, nobody has what it has.
      do {
        for (Ino i : inos) {
          for (const HeldLock& held : table.Held(i, false)) {
            if (held.owner.session != owner.session || held.type != LockType::kWrite) continue;
            for (const HeldLock& other : table.Held(i, false)) {
              ASSERT_TRUE(other.owner == held.owner || other.end < held.start || other.start > held.end);
            }
          }
        }
      } while (table.ReleaseSome(owner.session));
      ASSERT_EQ(table.CountOf(owner.session), 0u);
    }
    while (table.Step()) {
    }
    for (Ino i : inos) ASSERT_FALSE(table.Settling(i));
    ASSERT_EQ(got, want) << "step " << step;
    ASSERT_EQ(table.waiters(), model.Waiters());
    for (Ino i : inos) {
      for (const LockOwner& o : owners) {
        for (bool f : {false, true})
          ASSERT_EQ(ShowTable(table, i, o, f), model.Show(i, o, f)) << "step " << step;
      }
    }
  }
  for (Outcome o : {Outcome::kGranted, Outcome::kConflict, Outcome::kWaiting, Outcome::kDeadlock}) {
    EXPECT_GT(outcomes[o], 10) << "an outcome hardly tested: " << static_cast<int>(o);
  }
  for (uint64_t s = 1; s <= 3; ++s) {
    table.ReleaseSession(SessionId(s));
    EXPECT_EQ(table.CountOf(SessionId(s)), 0u);
  }
  EXPECT_EQ(table.waiters(), 0u);
  if (GetParam() % 2 == 0) {
    EXPECT_GT(unsettled, 100);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, LockTableModelTest, testing::Range(1u, 21u));

}  // namespace
}  // namespace kfs::meta

#include "metaserver/locks/lock_table.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <utility>

namespace kfs::meta {
namespace {

using Outcome = LockTable::Outcome;
constexpr Ino kFile{10}, kOther{11};
constexpr LockOwner kA{SessionId(1), 100}, kB{SessionId(1), 200}, kC{SessionId(2), 100};

LockRequest Read(uint64_t start, uint64_t end) {
  return {.type = LockType::kRead, .start = start, .end = end, .pid = 1};
}
LockRequest Write(uint64_t start, uint64_t end) {
  return {.type = LockType::kWrite, .start = start, .end = end, .pid = 2};
}
LockRequest Unlock(uint64_t start, uint64_t end) {
  return {.type = LockType::kUnlock, .start = start, .end = end};
}
LockRequest Flock(LockType type) { return {.type = type, .flock = true}; }
const LockRequest kShared = Flock(LockType::kRead), kExclusive = Flock(LockType::kWrite),
                  kUnflock = Flock(LockType::kUnlock);

// "A:r0-9 A:w10-19"
std::string Show(const LockTable& table, Ino ino = kFile, bool flock = false) {
  std::string out;
  for (const HeldLock& held : table.Held(ino, flock)) {
    if (!out.empty()) out += ' ';
    out += held.owner == kA ? 'A' : held.owner == kB ? 'B' : 'C';
    out += held.type == LockType::kRead ? ":r" : ":w";
    out += std::to_string(held.start) + "-" + (held.end == UINT64_MAX ? "" : std::to_string(held.end));
  }
  return out;
}

class LockTableTest : public testing::Test {
 protected:
  Outcome Wait(Ino ino, LockOwner owner, const LockRequest& request, uint64_t id) {
    return table_.Set(
        ino, owner, request, true,
        [this, id](Status s) {
          calls_ += "#" + std::to_string(id) + (s.ok() ? "" : "!" + std::to_string(s.err())) + " ";
        },
        id);
  }
  std::string Calls() { return std::exchange(calls_, {}); }

  LockTable table_{1};
  std::string calls_;
};

TEST_F(LockTableTest, ReadersShareAndWritersDoNot) {
  EXPECT_EQ(table_.Set(kFile, kA, Read(0, 9)), Outcome::kGranted);
  EXPECT_EQ(table_.Set(kFile, kB, Read(5, 14)), Outcome::kGranted);
  EXPECT_EQ(table_.Set(kFile, kC, Write(14, 20)), Outcome::kConflict);
  EXPECT_EQ(table_.Set(kFile, kC, Write(15, 20)), Outcome::kGranted);
  EXPECT_EQ(table_.Set(kOther, kC, Write(0, 20)), Outcome::kGranted);
  EXPECT_EQ(Show(table_), "A:r0-9 B:r5-14 C:w15-20");
}

TEST_F(LockTableTest, ANewRangeReplacesSplitsAndMerges) {
  (void)table_.Set(kFile, kA, Read(0, 99));
  (void)table_.Set(kFile, kA, Write(40, 49));
  EXPECT_EQ(Show(table_), "A:r0-39 A:w40-49 A:r50-99");
  (void)table_.Set(kFile, kA, Write(30, 39));
  EXPECT_EQ(Show(table_), "A:r0-29 A:w30-49 A:r50-99");
  (void)table_.Set(kFile, kA, Unlock(45, 60));
  EXPECT_EQ(Show(table_), "A:r0-29 A:w30-44 A:r61-99");
  (void)table_.Set(kFile, kA, Read(20, 70));
  EXPECT_EQ(Show(table_), "A:r0-99");
  (void)table_.Set(kFile, kA, Unlock(50, UINT64_MAX));
  EXPECT_EQ(Show(table_), "A:r0-49");
  EXPECT_EQ(table_.CountOf(SessionId(1)), 1u);
}

TEST_F(LockTableTest, RangesReachToTheVeryEnd) {
  (void)table_.Set(kFile, kA, Write(0, UINT64_MAX));
  (void)table_.Set(kFile, kA, Unlock(UINT64_MAX, UINT64_MAX));
  EXPECT_EQ(Show(table_), "A:w0-" + std::to_string(UINT64_MAX - 1));
  (void)table_.Set(kFile, kA, Write(UINT64_MAX, UINT64_MAX));
  EXPECT_EQ(Show(table_), "A:w0-");
  (void)table_.Set(kFile, kA, Unlock(0, 0));
  EXPECT_EQ(Show(table_), "A:w1-");
}

TEST_F(LockTableTest, AnUpgradeFailsWithoutLosingTheReadLock) {
  (void)table_.Set(kFile, kA, Read(0, 9));
  (void)table_.Set(kFile, kB, Read(0, 9));
  EXPECT_EQ(table_.Set(kFile, kA, Write(0, 9)), Outcome::kConflict);
  EXPECT_EQ(Show(table_), "A:r0-9 B:r0-9");
}

TEST_F(LockTableTest, TestNamesTheFirstConflict) {
  (void)table_.Set(kFile, kB, Write(20, 29));
  (void)table_.Set(kFile, kA, Read(5, 9));
  EXPECT_FALSE(table_.Test(kFile, kC, Read(0, 19)));
  const auto held = table_.Test(kFile, kC, Write(0, 100));
  ASSERT_TRUE(held);
  EXPECT_EQ(held->owner, kA);
  EXPECT_EQ(held->start, 5u);
  EXPECT_EQ(held->end, 9u);
  EXPECT_EQ(held->pid, 1u);
  EXPECT_EQ(table_.Test(kFile, kC, Read(0, 100))->owner, kB);
  EXPECT_FALSE(table_.Test(kFile, kA, Write(0, 19))) << "one's own locks do not count";
  EXPECT_FALSE(table_.Test(kOther, kA, Write(0, 19)));
}

TEST_F(LockTableTest, WaitersAreGrantedInOrderAndTogetherWhereTheyMayBe) {
  (void)table_.Set(kFile, kA, Write(0, 99));
  EXPECT_EQ(Wait(kFile, kB, Read(0, 9), 1), Outcome::kWaiting);
  EXPECT_EQ(Wait(kFile, kC, Write(5, 14), 2), Outcome::kWaiting);
  EXPECT_EQ(Wait(kFile, {SessionId(3), 1}, Read(0, 9), 3), Outcome::kWaiting);
  EXPECT_EQ(table_.CountOf(SessionId(1)), 2u);
  (void)table_.Set(kFile, kA, Unlock(0, 99));
  EXPECT_EQ(Calls(), "#1 #3 ") << "readers together; the writer between them stays";
  table_.ReleaseOwner(kFile, kB, false);
  EXPECT_EQ(Calls(), "");
  table_.ReleaseOwner(kFile, {SessionId(3), 1}, false);
  EXPECT_EQ(Calls(), "#2 ");
  EXPECT_EQ(Show(table_), "C:w5-14");
  EXPECT_EQ(table_.waiters(), 0u);
}

TEST_F(LockTableTest, ADowngradeLetsReadersIn) {
  (void)table_.Set(kFile, kA, Write(0, 9));
  EXPECT_EQ(Wait(kFile, kB, Read(3, 4), 1), Outcome::kWaiting);
  (void)table_.Set(kFile, kA, Read(0, 9));
  EXPECT_EQ(Calls(), "#1 ");
}

TEST_F(LockTableTest, AWaitingDowngradeFreesEarlierWaiters) {
  (void)table_.Set(kFile, kA, Write(0, 9));
  (void)table_.Set(kFile, kB, Write(20, 29));
  EXPECT_EQ(Wait(kFile, kC, Read(0, 9), 1), Outcome::kWaiting);
  EXPECT_EQ(Wait(kFile, kA, Read(0, 29), 2), Outcome::kWaiting);
  (void)table_.Set(kFile, kB, Unlock(0, 99));
  EXPECT_EQ(Calls(), "#2 #1 ");
}

TEST_F(LockTableTest, CirclesAreRefusedAcrossInodes) {
  (void)table_.Set(kFile, kA, Write(0, 0));
  (void)table_.Set(kOther, kB, Write(0, 0));
  (void)table_.Set(kFile, kC, Write(5, 5));
  EXPECT_EQ(Wait(kOther, kA, Read(0, 0), 1), Outcome::kWaiting);
  EXPECT_EQ(Wait(kFile, kB, Read(5, 5), 2), Outcome::kWaiting);
  EXPECT_EQ(Wait(kFile, kC, Write(0, 9), 3), Outcome::kDeadlock);
  EXPECT_EQ(table_.Set(kFile, kC, Write(0, 9)), Outcome::kConflict) << "without waiting there is no circle";
  table_.ReleaseOwner(kFile, kC, false);
  EXPECT_EQ(Calls(), "#2 ");
  EXPECT_EQ(Wait(kFile, kC, Write(0, 9), 4), Outcome::kWaiting);
}

TEST_F(LockTableTest, TwoReadersThatBothUpgradeAreADeadlock) {
  (void)table_.Set(kFile, kA, Read(0, 9));
  (void)table_.Set(kFile, kB, Read(0, 9));
  EXPECT_EQ(Wait(kFile, kA, Write(0, 9), 1), Outcome::kWaiting);
  EXPECT_EQ(Wait(kFile, kB, Write(0, 9), 2), Outcome::kDeadlock);
  table_.ReleaseOwner(kFile, kB, false);
  EXPECT_EQ(Calls(), "#1 ");
  EXPECT_EQ(Show(table_), "A:w0-9");
}

TEST_F(LockTableTest, ACancelledWaiterEndsWithEintrOnce) {
  (void)table_.Set(kFile, kA, Write(0, 9));
  EXPECT_EQ(Wait(kFile, kB, Write(0, 9), 7), Outcome::kWaiting);
  EXPECT_FALSE(table_.CancelWaiter(SessionId(2), 7)) << "another session's";
  EXPECT_FALSE(table_.CancelWaiter(SessionId(1), 8));
  EXPECT_TRUE(table_.CancelWaiter(SessionId(1), 7));
  EXPECT_EQ(Calls(), "#7!" + std::to_string(EINTR) + " ");
  EXPECT_FALSE(table_.CancelWaiter(SessionId(1), 7));
  table_.ReleaseOwner(kFile, kA, false);
  EXPECT_EQ(Calls(), "");
  EXPECT_EQ(Show(table_), "");
}

TEST_F(LockTableTest, AResentWaiterKeepsItsPlace) {
  (void)table_.Set(kFile, kA, Write(0, 9));
  EXPECT_EQ(Wait(kFile, kB, Write(0, 9), 1), Outcome::kWaiting);
  EXPECT_EQ(Wait(kFile, kC, Write(0, 9), 2), Outcome::kWaiting);
  std::string second;
  EXPECT_EQ(table_.Set(
                kFile, kB, Write(0, 9), true, [&](Status) { second = "granted"; }, 1),
            Outcome::kWaiting);
  EXPECT_EQ(table_.waiters(), 2u);
  EXPECT_EQ(Wait(kFile, kB, Read(0, 9), 1), Outcome::kConflict) << "another request under a used id";
  table_.ReleaseOwner(kFile, kA, false);
  EXPECT_EQ(second, "granted");
  EXPECT_EQ(Calls(), "");
}

TEST_F(LockTableTest, TheEndOfASessionFreesEverythingOfIt) {
  (void)table_.Set(kFile, kA, Write(0, 9));
  (void)table_.Set(kFile, kB, kExclusive);
  (void)table_.Set(kOther, {SessionId(3), 1}, Write(0, 9));
  EXPECT_EQ(Wait(kOther, kA, Read(0, 9), 1), Outcome::kWaiting);
  EXPECT_EQ(Wait(kFile, kC, Read(0, 9), 2), Outcome::kWaiting);
  EXPECT_EQ(Wait(kFile, kC, kShared, 3), Outcome::kWaiting);
  table_.ReleaseSession(SessionId(1));
  EXPECT_EQ(Calls(), "#1!" + std::to_string(EIO) + " #2 #3 ");
  EXPECT_EQ(table_.CountOf(SessionId(1)), 0u);
  EXPECT_EQ(Show(table_), "C:r0-9");
  EXPECT_EQ(Show(table_, kFile, true), "C:r0-");
  EXPECT_EQ(table_.waiters(), 0u);
  table_.ReleaseSession(SessionId(1));
  table_.ReleaseSession(SessionId(99));
}

TEST_F(LockTableTest, ASessionThatIsOverGetsNothingMoreAndNobodyWaitsForIt) {
  const LockOwner other{SessionId(3), 1};
  const std::string ended = "!" + std::to_string(EIO) + " ";
  (void)table_.Set(kFile, kA, Write(0, 9));
  (void)table_.Set(kOther, kC, Write(0, 9));
  (void)table_.Set(kOther, other, Write(20, 29));
  EXPECT_EQ(Wait(kOther, kA, Write(0, 9), 1), Outcome::kWaiting);
  EXPECT_EQ(Wait(kOther, kA, Write(20, 29), 2), Outcome::kWaiting);
  EXPECT_EQ(Wait(kFile, kC, Write(0, 9), 3), Outcome::kDeadlock);
  table_.EndSession(SessionId(1));
  EXPECT_EQ(Wait(kFile, kC, Write(0, 9), 3), Outcome::kWaiting) << "A does not wait any more";
  (void)table_.Set(kOther, other, {.type = LockType::kUnlock, .start = 0, .end = UINT64_MAX});
  EXPECT_EQ(Calls(), "#2" + ended) << "what is free is not for a session that is over";
  EXPECT_EQ(Show(table_), "A:w0-9") << "C waits until A has left";
  while (table_.ReleaseSome(SessionId(1))) {
  }
  EXPECT_EQ(Calls(), "#1" + ended + "#3 ");
  EXPECT_EQ(Show(table_), "C:w0-9");
}

TEST_F(LockTableTest, FlockAndRecordLocksDoNotSeeEachOther) {
  EXPECT_EQ(table_.Set(kFile, kA, kExclusive), Outcome::kGranted);
  EXPECT_EQ(table_.Set(kFile, kB, Write(0, UINT64_MAX)), Outcome::kGranted);
  EXPECT_EQ(table_.Set(kFile, kC, kShared), Outcome::kConflict);
  table_.ReleaseOwner(kFile, kA, false);
  EXPECT_EQ(table_.Set(kFile, kC, kShared), Outcome::kConflict);
  table_.ReleaseOwner(kFile, kA, true);
  EXPECT_EQ(table_.Set(kFile, kC, kShared), Outcome::kGranted);
  EXPECT_EQ(Show(table_), "B:w0-");
}

TEST_F(LockTableTest, ARefusedFlockConversionLosesTheOldLock) {
  (void)table_.Set(kFile, kA, kShared);
  (void)table_.Set(kFile, kB, kShared);
  EXPECT_EQ(table_.Set(kFile, kA, kExclusive), Outcome::kConflict);
  EXPECT_EQ(Show(table_, kFile, true), "B:r0-");
  EXPECT_EQ(table_.CountOf(SessionId(1)), 1u);
}

TEST_F(LockTableTest, AFlockConversionLetsWaitersIn) {
  (void)table_.Set(kFile, kA, kShared);
  (void)table_.Set(kFile, kB, kShared);
  EXPECT_EQ(Wait(kFile, kC, kExclusive, 1), Outcome::kWaiting);
  EXPECT_EQ(Wait(kFile, kA, kExclusive, 2), Outcome::kWaiting) << "flock knows no deadlocks";
  (void)table_.Set(kFile, kB, kUnflock);
  EXPECT_EQ(Calls(), "#1 ");
  (void)table_.Set(kFile, kC, kShared);
  EXPECT_EQ(Calls(), "");
  (void)table_.Set(kFile, kC, kUnflock);
  EXPECT_EQ(Calls(), "#2 ");
  EXPECT_EQ(Show(table_, kFile, true), "A:w0-");
}

TEST_F(LockTableTest, TheSameFlockAgainChangesNothing) {
  (void)table_.Set(kFile, kA, kExclusive);
  EXPECT_EQ(Wait(kFile, kB, kExclusive, 1), Outcome::kWaiting);
  EXPECT_EQ(table_.Set(kFile, kA, kExclusive), Outcome::kGranted);
  EXPECT_EQ(Calls(), "");
  EXPECT_EQ(table_.CountOf(SessionId(1)), 2u);
}

TEST_F(LockTableTest, ClosingAFlockedFileEndsItsWaiters) {
  (void)table_.Set(kFile, kA, kExclusive);
  EXPECT_EQ(Wait(kFile, kB, kExclusive, 1), Outcome::kWaiting);
  table_.ReleaseOwner(kFile, kB, true);
  EXPECT_EQ(Calls(), "#1!" + std::to_string(EINTR) + " ");
}

TEST_F(LockTableTest, FlockHoldersNamesEachSessionOnce) {
  EXPECT_TRUE(table_.FlockHolders(kFile).empty());
  (void)table_.Set(kFile, kA, kShared);
  (void)table_.Set(kFile, kB, kShared);
  (void)table_.Set(kFile, kC, kShared);
  (void)table_.Set(kFile, {SessionId(3), 1}, Read(0, 9));
  EXPECT_EQ(table_.FlockHolders(kFile), (std::vector{SessionId(1), SessionId(2)}));
}

TEST_F(LockTableTest, TheLocksOfAllSessionsAreLimited) {
  LockTable table(1, 100, 100, /*locks_max=*/6, /*locks_always=*/2);
  const auto by = [](LockRequest r) {
    r.uid = 7;
    return r;
  };
  const auto of = [](uint64_t session) { return LockOwner{SessionId(session), 1}; };
  // Many sessions, each far below its own limit.
  for (uint64_t at = 0; at < 60; at += 20) {
    EXPECT_EQ(table.Set(kFile, of(11), by(Write(at, at))), Outcome::kGranted);
    EXPECT_EQ(table.Set(kOther, of(12), by(Write(at, at))), Outcome::kGranted);
  }
  EXPECT_EQ(table.count(), 6u);
  EXPECT_EQ(table.Set(kOther, of(11), by(Write(90, 90))), Outcome::kNoLocks);
  EXPECT_EQ(table.Set(kOther, of(11), by(Write(0, 0)), true), Outcome::kNoLocks) << "waiting counts too";
  // Who has few has them; what a session had before a restart it is given back.
  EXPECT_EQ(table.Set(kFile, of(13), by(Write(90, 90))), Outcome::kGranted);
  EXPECT_EQ(table.Set(kFile, of(13), by(Write(0, 0)), true, [](const Status&) {}), Outcome::kWaiting);
  EXPECT_EQ(table.Set(kFile, of(13), by(Write(92, 92))), Outcome::kNoLocks);
  EXPECT_EQ(table.Set(kFile, of(14), Write(100, 100)), Outcome::kGranted);
  EXPECT_EQ(table.Set(kFile, of(14), Write(102, 102)), Outcome::kGranted);
  EXPECT_EQ(table.Set(kFile, of(14), Write(104, 104)), Outcome::kGranted);
  // An unlock gives room, and so does an end.
  EXPECT_EQ(table.Set(kFile, of(11), by(Unlock(20, 20))), Outcome::kGranted);
  table.ReleaseSession(SessionId(12));
  table.ReleaseSession(SessionId(14));
  EXPECT_EQ(table.count(), 4u);
  EXPECT_EQ(table.Set(kOther, of(11), by(Write(90, 90))), Outcome::kGranted);
  for (const uint64_t session : {11, 13}) table.ReleaseSession(SessionId(session));
  EXPECT_EQ(table.count(), 0u);
}

TEST_F(LockTableTest, ASessionsLocksAreLimited) {
  LockTable table(1, 4);
  for (uint64_t i = 0; i < 4; ++i)
    EXPECT_EQ(table.Set(kFile, kA, Write(i * 10, i * 10 + 4)), Outcome::kGranted);
  EXPECT_EQ(table.Set(kFile, kA, Write(90, 99)), Outcome::kNoLocks);
  EXPECT_EQ(table.Set(kFile, kA, Read(11, 12)), Outcome::kNoLocks) << "would split";
  EXPECT_EQ(table.Set(kFile, kA, Unlock(11, 12)), Outcome::kNoLocks) << "would split";
  EXPECT_EQ(table.Set(kFile, kB, kShared), Outcome::kNoLocks) << "counted by session";
  EXPECT_EQ(table.Set(kFile, kC, Write(90, 99)), Outcome::kGranted) << "another session";
  EXPECT_EQ(table.Set(kFile, kA, Write(90, 99), true), Outcome::kNoLocks) << "waiting counts too";
  EXPECT_EQ(table.Set(kFile, kA, Read(0, 35)), Outcome::kGranted) << "fewer ranges than before";
  EXPECT_EQ(table.CountOf(SessionId(1)), 1u);
  EXPECT_EQ(table.Set(kFile, kA, Unlock(0, 100)), Outcome::kGranted);
  EXPECT_EQ(table.CountOf(SessionId(1)), 0u);
}

TEST_F(LockTableTest, AUserLeavesRoomToTheOthersOfTheSession) {
  LockTable table(1, 8, 3);
  auto by = [](uint32_t uid, LockRequest request) {
    request.uid = uid;
    return request;
  };
  for (uint64_t i = 0; i < 3; ++i)
    EXPECT_EQ(table.Set(kFile, kA, by(7, Write(i * 10, i * 10))), Outcome::kGranted);
  EXPECT_EQ(table.Set(kFile, kA, by(7, Write(90, 90))), Outcome::kNoLocks);
  EXPECT_EQ(table.Set(kOther, {SessionId(1), 300}, by(7, kShared)), Outcome::kNoLocks) << "wherever they are";
  EXPECT_EQ(table.Set(kFile, kB, by(7, Write(0, 0)), true), Outcome::kNoLocks) << "waiting counts too";
  EXPECT_EQ(table.Set(kFile, kC, by(7, Write(90, 90))), Outcome::kGranted) << "in another session";
  EXPECT_EQ(table.Set(kFile, kB, by(8, Write(80, 80))), Outcome::kGranted) << "another user";
  EXPECT_EQ(table.Set(kFile, {SessionId(1), 300}, Write(85, 85)), Outcome::kGranted) << "reclaimed";
  EXPECT_EQ(table.Set(kFile, kB, by(8, Write(10, 10)), true), Outcome::kWaiting);
  EXPECT_EQ(table.Set(kFile, kA, by(9, Unlock(0, 100))), Outcome::kGranted) << "whoever gives them up";
  EXPECT_EQ(table.Set(kFile, kA, by(7, Write(91, 91))), Outcome::kGranted);
  table.ReleaseSession(SessionId(1));
  EXPECT_EQ(table.CountOf(SessionId(1)), 0u);
}

TEST_F(LockTableTest, AGrantedFunctionMayUseTheTable) {
  (void)table_.Set(kFile, kA, Write(0, 9));
  int runs = 0;
  (void)table_.Set(
      kFile, kB, Write(0, 9), true,
      [&](Status s) {
        EXPECT_TRUE(s.ok());
        ++runs;
        EXPECT_EQ(Show(table_), "B:w0-9");
        table_.ReleaseSession(SessionId(1));  // its own session
      },
      1);
  EXPECT_EQ(Wait(kFile, kC, Write(0, 9), 2), Outcome::kWaiting);
  table_.ReleaseOwner(kFile, kA, false);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(Calls(), "#2 ");
  EXPECT_EQ(Show(table_), "C:w0-9");
}

TEST_F(LockTableTest, ALongChainOfWaitersIsSearchedWithinBounds) {
  constexpr uint64_t kOwners = 1300;
  for (uint64_t i = 0; i < kOwners; ++i) {
    const LockOwner owner{SessionId(i % 7 + 1), i};
    ASSERT_EQ(table_.Set(Ino(1000 + i), owner, Write(0, 0)), Outcome::kGranted);
    if (i > 0) {
      ASSERT_EQ(table_.Set(
                    Ino(1000 + i - 1), owner, Write(0, 0), true, [](Status) {}, i + 1),
                Outcome::kWaiting);
    }
  }
  const LockOwner short_circle{SessionId(1 + 3 % 7), 3};
  EXPECT_EQ(table_.Set(Ino(1000 + 10), {SessionId(1), 0}, Write(0, 0), true), Outcome::kDeadlock);
  EXPECT_EQ(table_.Set(Ino(1000 + 5), short_circle, Write(0, 0), true), Outcome::kDeadlock);
  EXPECT_NE(table_.Set(
                Ino(1000 + kOwners - 1), {SessionId(1), 0}, Write(0, 0), true, [](Status) {}, 1),
            Outcome::kGranted);
}

}  // namespace
}  // namespace kfs::meta

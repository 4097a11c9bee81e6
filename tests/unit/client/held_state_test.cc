#include "client/held_state.h"

#include <gtest/gtest.h>

namespace kfs {
namespace {

FileLock Lock(FileLock::Type type, uint64_t start, uint64_t end, uint64_t owner = 1) {
  return {.owner = owner, .type = type, .flock = false, .start = start, .end = end, .pid = 0};
}

FileHandlePtr Open(HeldState& held, uint64_t ino) {
  auto handle = std::make_shared<FileHandle>(Ino(ino), 0, held.epoch());
  held.Opened(handle);
  return handle;
}

size_t ReclaimedLocks(const HeldState& held) {
  size_t n = 0;
  for (const auto& m : held.Reclaims(1000)) n += static_cast<size_t>(m.lock_size());
  return n;
}

TEST(HeldState, OpensAreCounted) {
  HeldState held;
  const FileHandlePtr one = Open(held, 5), two = Open(held, 5);
  EXPECT_EQ(held.Reclaims(10)[0].open(0).count(), 2u);
  EXPECT_TRUE(held.Released(one));
  EXPECT_FALSE(held.Released(one));  // the other one's open is not given back for it
  EXPECT_EQ(held.opens(Ino(5)), 1u);
  EXPECT_TRUE(held.Released(two));
  EXPECT_EQ(held.opens(Ino(5)), 0u);
}

TEST(HeldState, ALostHandleNeverComesToLifeAgain) {
  HeldState held;
  const FileHandlePtr old = Open(held, 5);
  EXPECT_FALSE(old->lost());
  held.SessionLost();
  EXPECT_TRUE(old->lost());
  // Somebody else opens and closes the same file meanwhile: that works, and changes nothing for the old one.
  const FileHandlePtr fresh = Open(held, 5);
  EXPECT_FALSE(fresh->lost());
  EXPECT_FALSE(held.Released(old));  // the metaserver need not hear of it
  EXPECT_EQ(held.opens(Ino(5)), 1u);
  EXPECT_TRUE(held.Released(fresh));
  EXPECT_TRUE(old->lost());
}

TEST(HeldState, AVanishedInodeTakesOnlyItsOwnHandles) {
  HeldState held;
  const FileHandlePtr five = Open(held, 5), six = Open(held, 6);
  held.Vanished(Ino(5));
  EXPECT_TRUE(five->lost());
  EXPECT_FALSE(six->lost());
  EXPECT_TRUE(held.Released(six));
  EXPECT_FALSE(held.Released(five));
}

TEST(HeldState, LostChangesConcernTheHandlesOfBefore) {
  HeldState held;
  const FileHandlePtr file = Open(held, 5);
  const uint64_t before = file->opened_in();
  const MonoTime now{std::chrono::hours(1)};
  EXPECT_FALSE(held.ChangesLostSince(Ino(5), before));
  EXPECT_FALSE(held.ChangesLostLately(Ino(5), now));
  held.ChangesLost(std::unordered_set<Ino>{Ino(5)}, now);
  EXPECT_TRUE(held.ChangesLostSince(Ino(5), before));
  EXPECT_FALSE(held.ChangesLostSince(Ino(6), before));
  EXPECT_FALSE(held.ChangesLostSince(Ino(5), held.epoch()));
  EXPECT_TRUE(held.ChangesLostLately(Ino(5), now + std::chrono::seconds(1)));
  EXPECT_FALSE(held.ChangesLostLately(Ino(6), now + std::chrono::seconds(1)));
  EXPECT_FALSE(held.ChangesLostLately(Ino(5), now + std::chrono::seconds(6)));
  held.ChangesLost({}, now);  // of which is not known
  EXPECT_TRUE(held.ChangesLostSince(Ino(6), before));
  EXPECT_TRUE(held.ChangesLostLately(Ino(6), now));
  held.Created(Ino(9), now + std::chrono::seconds(1));
  EXPECT_FALSE(held.ChangesLostLately(Ino(9), now + std::chrono::seconds(2))) << "it was made after the loss";
  EXPECT_FALSE(held.ChangesLostSince(Ino(9), held.epoch()));
  EXPECT_TRUE(held.ChangesLostLately(Ino(6), now + std::chrono::seconds(2)));
  held.ChangesLost({}, now + std::chrono::seconds(3));
  EXPECT_TRUE(held.ChangesLostLately(Ino(9), now + std::chrono::seconds(4))) << "another loss";
  EXPECT_FALSE(file->lost());  // it can be read and written
}

TEST(HeldState, NeighbouringLocksMerge) {
  HeldState held;
  held.ApplyLock(Ino(1), Lock(FileLock::kWrite, 0, 9));
  held.ApplyLock(Ino(1), Lock(FileLock::kWrite, 20, 29));
  EXPECT_EQ(held.lock_count(), 2u);
  held.ApplyLock(Ino(1), Lock(FileLock::kWrite, 10, 19));
  ASSERT_EQ(held.lock_count(), 1u);
  const auto all = held.LocksIn(Ino(1), Lock(FileLock::kWrite, 0, UINT64_MAX));
  EXPECT_EQ(all[0].start, 0u);
  EXPECT_EQ(all[0].end, 29u);
}

TEST(HeldState, UnlockInTheMiddleSplits) {
  HeldState held;
  held.ApplyLock(Ino(1), Lock(FileLock::kRead, 0, UINT64_MAX));
  held.ApplyLock(Ino(1), Lock(FileLock::kUnlock, 10, 19));
  EXPECT_EQ(held.lock_count(), 2u);
  EXPECT_TRUE(held.LocksIn(Ino(1), Lock(FileLock::kRead, 10, 19)).empty());
  held.ApplyLock(Ino(1), Lock(FileLock::kUnlock, 0, UINT64_MAX));
  EXPECT_EQ(held.lock_count(), 0u);
}

TEST(HeldState, ConversionReplacesOnlyItsRange) {
  HeldState held;
  held.ApplyLock(Ino(1), Lock(FileLock::kRead, 0, 99));
  held.ApplyLock(Ino(1), Lock(FileLock::kWrite, 40, 59));
  EXPECT_EQ(held.lock_count(), 3u);
  const auto middle = held.LocksIn(Ino(1), Lock(FileLock::kRead, 45, 50));
  ASSERT_EQ(middle.size(), 1u);
  EXPECT_EQ(middle[0].type, FileLock::kWrite);
  EXPECT_EQ(middle[0].start, 45u);  // cut to the range
}

TEST(HeldState, OwnersAndKindsDoNotMix) {
  HeldState held;
  held.ApplyLock(Ino(1), Lock(FileLock::kRead, 0, 9, 1));
  held.ApplyLock(Ino(1), Lock(FileLock::kRead, 0, 9, 2));
  FileLock flock = Lock(FileLock::kRead, 0, UINT64_MAX, 1);
  flock.flock = true;
  held.ApplyLock(Ino(1), flock);
  EXPECT_EQ(held.lock_count(), 3u);
  held.DropPosixLocks(Ino(1), 1);
  EXPECT_EQ(held.lock_count(), 2u);
  held.DropFlock(Ino(1), 1);
  EXPECT_EQ(held.lock_count(), 1u);
}

TEST(HeldState, ReclaimComesInBatchesAndTheLastIsMarked) {
  HeldState held;
  for (uint64_t i = 1; i <= 25; ++i) Open(held, i);
  held.ApplyLock(Ino(1), Lock(FileLock::kWrite, 0, 9));
  const auto messages = held.Reclaims(10);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_FALSE(messages[0].last());
  EXPECT_TRUE(messages[2].last());
  EXPECT_EQ(messages[0].open_size(), 10);
  EXPECT_EQ(ReclaimedLocks(held), 1u);
  EXPECT_EQ(HeldState().Reclaims(10).size(), 1u);
}

TEST(HeldState, LocksGoWithTheSession) {
  HeldState held;
  Open(held, 5);
  held.ApplyLock(Ino(5), Lock(FileLock::kWrite, 0, 9));
  held.SessionLost();
  EXPECT_EQ(held.lock_count(), 0u);
  EXPECT_EQ(held.Reclaims(10)[0].open_size(), 0);
}

}  // namespace
}  // namespace kfs

// Ops that change the metaserver's memory only are not logged: what they cost, and that each still happens
// once, with and without a restart between its two arrivals.
#include "memory_ops_fixture.h"

namespace kfs::meta {
namespace {

TEST_F(MemoryOpsTest, ACreateAndItsCloseAreOneLogWrite) {
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(WritesOf([&] { Release(Create(1, name).attr().ino()); }), 1u) << name;
    EXPECT_EQ(err(), 0);
  }
}

// An inode that never had a name is there for who asks again for the answer that he has not got.
TEST_F(MemoryOpsTest, ATmpfileSentAgainAfterARestartIsOpen) {
  pb::TmpfileRequest r;
  r.set_parent(1);
  r.set_mode(0600);
  r.set_flags(O_RDWR);
  r = Numbered(r);
  const uint64_t ino = Run<rpc::Tmpfile>(r).attr().ino();
  ASSERT_EQ(err(), 0);
  RestartAndReclaim();
  for (int i = 0; i < 3; ++i) executor_->EndTick();
  EXPECT_EQ(Run<rpc::Tmpfile>(r).attr().ino(), ino);
  EXPECT_EQ(OpensOf(ino), 1u);
  EXPECT_FALSE(Gone(ino));
  Release(ino);
  EXPECT_TRUE(Gone(ino));
}

TEST_F(MemoryOpsTest, ATmpfileThatNobodyAsksForAgainGoes) {
  pb::TmpfileRequest r;
  r.set_parent(1);
  r.set_flags(O_RDWR);
  const uint64_t ino = Run<rpc::Tmpfile>(Numbered(r)).attr().ino();
  RestartAndReclaim();
  EXPECT_FALSE(Gone(ino));
  Acknowledge(s_);
  EXPECT_TRUE(Gone(ino));
}

// A release, refused while its volume moved, comes a moment later than a lock that a new handle has taken
// under the same owner: the kernel names owners by the address of what it has just freed.
TEST_F(MemoryOpsTest, WhatGaveALockBackBeforeARestartTakesNoLaterOne) {
  const uint64_t ino = Create(1, "f").attr().ino();
  for (const bool flock : {true, false}) {
    const pb::SetLockRequest unlock = Numbered(LockOf(ino, 7, pb::LockRange::UNLOCK, false, flock));
    const pb::FlushRequest flush = FlushOf(ino, 7);
    pb::ReleaseRequest release = ReleaseOf(ino);
    release.set_unlock_flock(true);
    release.set_flock_owner(7);
    pb::ReclaimRequest held = Holding(ino, 1);
    *held.add_lock() = LockOf(ino, 7, pb::LockRange::WRITE, false, flock).lock();
    RestartAndReclaim(held);
    ASSERT_EQ(locks(), 1u);
    acked_ = 1;
    Run<rpc::SetLock>(unlock);
    Run<rpc::Flush>(flush);
    Run<rpc::Release>(release);
    EXPECT_EQ(locks(), 1u);
    EXPECT_EQ(OpensOf(ino), 1u);
    // From now on they count.
    if (flock) {
      pb::ReleaseRequest again = ReleaseOf(ino);
      again.set_unlock_flock(true);
      again.set_flock_owner(7);
      Run<rpc::Release>(again);
    } else {
      Run<rpc::Flush>(FlushOf(ino, 7));
    }
    EXPECT_EQ(locks(), 0u);
  }
}

// A reclaim that is begun again is of the locks that were told first, too: one that was given back between
// the two is given back.
TEST_F(MemoryOpsTest, ALockThatWasToldAndGivenBackBeforeTheReclaimEndedIsFree) {
  const uint64_t ino = Create(1, "f").attr().ino();
  const SessionPtr old = s_;
  Restart();
  s_ = Attach(old);
  pb::ReclaimRequest part = Holding(ino, 1);
  *part.add_lock() = LockOf(ino, 7, pb::LockRange::WRITE, false, false).lock();
  part.set_op_ids(op_ids_);
  ASSERT_TRUE(Reclaim(s_, part).ok());
  ASSERT_EQ(locks(), 1u);
  const pb::FlushRequest flush = FlushOf(ino, 7);
  s_ = Attach(s_);
  pb::ReclaimRequest all = Holding(ino, 1);
  all.set_op_ids(op_ids_);
  all.set_last(true);
  ASSERT_TRUE(Reclaim(s_, all).ok());
  Run<rpc::Flush>(flush);
  EXPECT_EQ(locks(), 0u);
}

TEST_F(MemoryOpsTest, OpenCloseLockAndUnlockAreNone) {
  const uint64_t ino = Create(1, "f").attr().ino();
  const uint64_t n = WritesOf([&] {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(Open(ino, O_RDWR), 0);
      for (const bool flock : {false, true}) {
        Run<rpc::SetLock>(LockOf(ino, 7, pb::LockRange::WRITE, false, flock));
        EXPECT_EQ(err(), 0);
        // One that has to wait, and is answered when it is granted.
        const TestCallPtr waits = Begin<rpc::SetLock>(LockOf(ino, 8, pb::LockRange::WRITE, true, flock));
        EXPECT_FALSE(waits->answered);
        Run<rpc::SetLock>(LockOf(ino, 7, pb::LockRange::UNLOCK, false, flock));
        executor_->EndTick();
        EXPECT_TRUE(waits->answered && waits->status.ok());
        Run<rpc::SetLock>(LockOf(ino, 8, pb::LockRange::UNLOCK, false, flock));
        EXPECT_EQ(err(), 0);
      }
      Run<rpc::Flush>(FlushOf(ino, 7));
      acked_ = 0;
      EXPECT_EQ(Release(ino), 0);
    }
  });
  EXPECT_EQ(n, 0u);
  EXPECT_LE(s_->replies_kept(), 2u);
}

TEST_F(MemoryOpsTest, ATruncatingOpenIsLogged) {
  const uint64_t ino = Create(1, "f").attr().ino();
  ASSERT_EQ(Truncate(ino, 5), 0);
  EXPECT_EQ(WritesOf([&] { Open(ino, O_RDWR | O_TRUNC); }), 1u);
  EXPECT_EQ(Stat(ino).size(), 0u);
}

// ---- each twice, no restart between

TEST_F(MemoryOpsTest, OpensAndReleasesThatComeAgainCountOnce) {
  const uint64_t ino = Create(1, "f").attr().ino();
  Open(ino);
  const pb::OpenRequest open = OpenOf(ino);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Run<rpc::Open>(open).attr().ino(), ino);
  EXPECT_EQ(OpensOf(ino), 3u);
  const pb::ReleaseRequest release = ReleaseOf(ino);
  for (int i = 0; i < 2; ++i) Run<rpc::Release>(release);
  EXPECT_EQ(OpensOf(ino), 2u);
  EXPECT_EQ(executor_->replays(), 2u);
}

TEST_F(MemoryOpsTest, AnUnlockThatComesAgainLeavesALaterLock) {
  const uint64_t ino = Create(1, "f").attr().ino();
  const pb::SetLockRequest lock = Numbered(LockOf(ino, 7, pb::LockRange::WRITE));
  const uint64_t unanswered = acked_;
  for (int i = 0; i < 2; ++i) Run<rpc::SetLock>(lock);
  EXPECT_EQ(locks(), 1u);
  const pb::SetLockRequest unlock = Numbered(LockOf(ino, 7, pb::LockRange::UNLOCK));
  const pb::FlushRequest flush = FlushOf(ino, 7);
  acked_ = unanswered;
  Run<rpc::SetLock>(unlock);
  EXPECT_EQ(locks(), 0u);
  Run<rpc::Flush>(flush);
  Run<rpc::SetLock>(LockOf(ino, 7, pb::LockRange::WRITE));
  Run<rpc::SetLock>(unlock);
  Run<rpc::Flush>(flush);
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(locks(), 1u);
}

TEST_F(MemoryOpsTest, AnotherOpUnderTheSameIdIsRefused) {
  Mkdir(1, "d");
  const uint64_t ino = Create(1, "f").attr().ino();
  pb::FlushRequest flush = FlushOf(ino, 7);
  flush.mutable_ctx()->set_op_id(op_ids_ - 1);  // the create's
  acked_ = op_ids_ - 2;
  EXPECT_EQ(Begin<rpc::Flush>(flush)->status.err(), EINVAL);
  const pb::OpenRequest open = OpenOf(ino);
  Run<rpc::Open>(open);
  pb::ReleaseRequest release;
  release.set_ino(ino);
  release.mutable_ctx()->set_op_id(open.ctx().op_id());
  EXPECT_EQ(Begin<rpc::Release>(release)->status.err(), EINVAL);
  EXPECT_EQ(OpensOf(ino), 2u);
}

// ---- each twice, the metaserver restarted between: what was not answered is executed anew

TEST_F(MemoryOpsTest, AnOpenThatWasNotAnsweredIsMadeAfterARestart) {
  const uint64_t ino = Create(1, "f").attr().ino();
  Release(ino);
  const pb::OpenRequest open = OpenOf(ino);
  Run<rpc::Open>(open);
  RestartAndReclaim();
  EXPECT_EQ(OpensOf(ino), 0u);
  for (int i = 0; i < 2; ++i) Run<rpc::Open>(open);
  EXPECT_EQ(OpensOf(ino), 1u);
  EXPECT_EQ(Unlink(1, "f"), 0);
  EXPECT_FALSE(Gone(ino));
  Release(ino);
  EXPECT_TRUE(Gone(ino));
}

TEST_F(MemoryOpsTest, AnOpenOfWhatWasRemovedMeanwhileFailsAfterARestart) {
  const uint64_t ino = Mknod(1, "f");
  const pb::OpenRequest open = OpenOf(ino);
  Run<rpc::Open>(open);
  ASSERT_EQ(Unlink(1, "f"), 0);
  RestartAndReclaim();
  Run<rpc::Open>(open);
  EXPECT_EQ(err(), ESTALE);  // as if it had come after the unlink
  EXPECT_EQ(OpensOf(ino), 0u);
}

TEST_F(MemoryOpsTest, AnOpenOfWhatHasNoNameHoldsItThoughAnotherHandleGoes) {
  const uint64_t ino = Create(1, "f").attr().ino();
  ASSERT_EQ(Unlink(1, "f"), 0);
  const pb::OpenRequest open = OpenOf(ino);  // by /proc/self/fd
  Run<rpc::Open>(open);
  RestartAndReclaim(Holding(ino, 1));
  Run<rpc::Open>(open);
  EXPECT_EQ(OpensOf(ino), 2u);
  Release(ino);
  EXPECT_FALSE(Gone(ino));
  Release(ino);
  EXPECT_TRUE(Gone(ino));
}

TEST_F(MemoryOpsTest, ATruncatingOpenIsNotDoneAgainAfterARestart) {
  const uint64_t ino = Create(1, "f").attr().ino();
  Release(ino);
  const pb::OpenRequest open = OpenOf(ino, O_RDWR | O_TRUNC);
  Run<rpc::Open>(open);
  RestartAndReclaim();
  ASSERT_EQ(Truncate(ino, 5), 0);
  Run<rpc::Open>(open);
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(Stat(ino).size(), 5u);
  EXPECT_EQ(OpensOf(ino), 1u);  // its open is, as the client has not reclaimed it
}

TEST_F(MemoryOpsTest, AReleaseThatWasNotAnsweredCountsOnceOverARestart) {
  const uint64_t ino = Create(1, "f").attr().ino();
  Open(ino);
  const pb::ReleaseRequest release = ReleaseOf(ino);
  Run<rpc::Release>(release);
  RestartAndReclaim(Holding(ino, 1));  // from its sending on it is not reclaimed
  for (int i = 0; i < 2; ++i) Run<rpc::Release>(release);
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(OpensOf(ino), 1u);
}

TEST_F(MemoryOpsTest, ALockThatWasNotAnsweredIsTakenAnew) {
  const uint64_t ino = Create(1, "f").attr().ino();
  const pb::SetLockRequest lock = Numbered(LockOf(ino, 7, pb::LockRange::WRITE));
  Run<rpc::SetLock>(lock);
  RestartAndReclaim(Holding(ino, 1));
  EXPECT_EQ(locks(), 0u);
  Run<rpc::SetLock>(lock);
  EXPECT_EQ(locks(), 1u);
  Run<rpc::SetLock>(lock);
  EXPECT_EQ(err(), 0);
  // Nobody had been told of it: another may have it by now.
  RestartAndReclaim(Holding(ino, 1));
  const SessionPtr other = OpenSession();
  Run<rpc::SetLock>(LockOf(ino, 7, pb::LockRange::WRITE), other);
  ASSERT_EQ(err(), 0);
  Run<rpc::SetLock>(lock);
  EXPECT_EQ(err(), EAGAIN);
}

TEST_F(MemoryOpsTest, ALockThatWasAnsweredIsReclaimedAndAnUnlockThatWasNotIsMade) {
  const uint64_t ino = Create(1, "f").attr().ino();
  Run<rpc::SetLock>(LockOf(ino, 7, pb::LockRange::WRITE));
  const pb::SetLockRequest unlock = Numbered(LockOf(ino, 7, pb::LockRange::UNLOCK));
  Run<rpc::SetLock>(unlock);
  pb::ReclaimRequest held = Holding(ino, 1);
  *held.add_lock() = LockOf(ino, 8, pb::LockRange::READ).lock();
  RestartAndReclaim(held);  // the unlocked one is not reclaimed from the unlock's sending on
  EXPECT_EQ(locks(), 1u);
  for (int i = 0; i < 2; ++i) Run<rpc::SetLock>(unlock);
  EXPECT_EQ(err(), 0);
  const pb::FlushRequest flush = FlushOf(ino, 8);
  for (int i = 0; i < 2; ++i) Run<rpc::Flush>(flush);
  EXPECT_EQ(locks(), 0u);
}

// What it had opened and locked was let go of.
TEST_F(MemoryOpsTest, AnExpiredSessionsAnswersGoWithWhatItHeld) {
  const uint64_t ino = Create(1, "f").attr().ino();
  Release(ino);
  const pb::OpenRequest open = OpenOf(ino);
  Run<rpc::Open>(open);
  const pb::SetLockRequest lock = Numbered(LockOf(ino, 7, pb::LockRange::WRITE));
  acked_ = open.ctx().op_id() - 1;
  Run<rpc::SetLock>(lock);
  clock_.Advance(std::chrono::seconds(31));
  executor_->OnTimer();
  executor_->EndTick();
  s_ = Attach(s_);
  ASSERT_NE(s_, nullptr);
  Run<rpc::Open>(open);
  Run<rpc::SetLock>(lock);
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(OpensOf(ino), 1u);
  EXPECT_EQ(locks(), 1u);
}

}  // namespace
}  // namespace kfs::meta

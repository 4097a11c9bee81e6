// Executor::CloseVolume: whatever waits is answered with the reason, once; sessions live on.
#include <gmock/gmock.h>

#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

class ClosingTest : public MetaTest {
 protected:
  const Status why_{ESHUTDOWN, Code::kStopped, "stopped"};

  void Close() {
    executor_->CloseVolume(VolumeId(1), why_);
    EXPECT_EQ(executor_->FindVolume("vol"), nullptr);
  }
  static void ExpectStopped(const TestCallPtr& call) {
    EXPECT_TRUE(call->answered);
    EXPECT_EQ(call->status.code(), Code::kStopped);
  }
  void OpenAgain() {
    rec::Volume info;
    info.set_id(1);
    info.set_name("vol");
    info.set_chunk_size(kChunk);
    info.set_replicas(1);
    auto db = Db::Open(dir_ + "/vol", "volume", *memory_);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    auto volume = Volume::Open(info, std::move(*db), cache_bytes_, *servers_, clock_, executor_->volume_env(),
                               executor_->DrawVolumeSeed());
    ASSERT_TRUE(volume.ok());
    executor_->AddVolume(std::move(*volume));
    SessionPtr again = Attach(s_);
    ASSERT_NE(again, nullptr) << last_.ToString();
    s_ = again;
    ASSERT_TRUE(ReclaimNothing(s_).ok());
  }
};

TEST_F(ClosingTest, AWaitingLockIsToldTheReason) {
  const uint64_t ino = Create(1, "f").attr().ino();
  Run<rpc::SetLock>(LockOf(ino, 1, pb::LockRange::WRITE));
  ASSERT_TRUE(last_.ok());
  TestCallPtr waits = Begin<rpc::SetLock>(LockOf(ino, 2, pb::LockRange::WRITE, /*wait=*/true));
  ASSERT_FALSE(waits->answered);
  Close();
  ExpectStopped(waits);
  EXPECT_EQ(executor_->parked_now(), 0u);
}

TEST_F(ClosingTest, WhatWaitsForChunkserversIsToldTheReasonAndAnsweredOnce) {
  const uint64_t ino = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(ino, 0, 100000), 0);
  auto_ack_ = false;
  ASSERT_EQ(Truncate(ino, 5000), 0);
  TestCallPtr waits = [&] {
    pb::ReadLayoutRequest r;
    r.set_ino(ino);
    r.set_length(UINT64_MAX);
    return Begin<rpc::ReadLayout>(r);
  }();
  ASSERT_FALSE(waits->answered);
  ASSERT_FALSE(mutated_.empty());
  Close();
  ExpectStopped(waits);
  AckMutations();  // the answer of the chunkserver comes to nobody
  executor_->EndTick();
  executor_->OnTimer();
  executor_->EndTick();
}

TEST_F(ClosingTest, WhatWaitsForItsTurnToAppendIsToldTheReason) {
  const uint64_t ino = Create(1, "f").attr().ino();
  Run<rpc::PrepareWrite>(PrepareOf(ino, 0, 10, /*append=*/true));
  ASSERT_TRUE(last_.ok()) << last_.ToString();
  SessionPtr other = OpenSession();
  TestCallPtr waits = Begin<rpc::PrepareWrite>(PrepareOf(ino, 0, 10, /*append=*/true), other);
  ASSERT_FALSE(waits->answered);
  Close();
  ExpectStopped(waits);
}

TEST_F(ClosingTest, WhatComesLaterOnTheSameConnectionIsToldTheReason) {
  Close();
  pb::MkdirRequest r;
  r.set_parent(1);
  r.set_name("x");
  ExpectStopped(Begin<rpc::Mkdir>(r));
  executor_->OnTimer();
  executor_->EndTick();
}

TEST_F(ClosingTest, WhatWasRefusedIsMadeOnceWhenItComesAgain) {
  const uint64_t ino = Create(1, "f").attr().ino();
  pb::MkdirRequest made;
  made.set_parent(1);
  made.set_name("made");
  made.mutable_ctx()->set_op_id(500);
  Begin<rpc::Mkdir>(made);  // its answer is lost
  Run<rpc::SetLock>(LockOf(ino, 1, pb::LockRange::WRITE));
  pb::SetLockRequest lock = LockOf(ino, 2, pb::LockRange::WRITE, /*wait=*/true);
  lock.mutable_ctx()->set_op_id(501);
  TestCallPtr waits = Begin<rpc::SetLock>(lock);
  Close();
  ExpectStopped(waits);
  OpenAgain();
  Run<rpc::Mkdir>(made);
  EXPECT_TRUE(last_.ok()) << last_.ToString();  // not EEXIST
  Run<rpc::SetLock>(lock);
  EXPECT_TRUE(last_.ok()) << last_.ToString();  // the other owner did not reclaim its lock
}

TEST_F(ClosingTest, OnlyThatVolumeIsClosed) {
  executor_->CloseVolume(VolumeId(2), why_);
  EXPECT_NE(executor_->FindVolume("vol"), nullptr);
  EXPECT_NE(Mkdir(1, "x"), 0u);
}

}  // namespace
}  // namespace kfs::meta

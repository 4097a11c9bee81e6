// Files that grow, are cut and reserved, when they have very many chunks and others are at them meanwhile.
#include <fcntl.h>
#include <linux/falloc.h>

#include "common/inode_flags.h"
#include "metaserver/ops/chunk_ops.h"
#include "metaserver/store/keys.h"
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

class ResizeTest : public MetaTest {
 protected:
  static constexpr uint64_t kMany = 1000;  // chunks: several steps

  void SetUp() override {
    MetaTest::SetUp();
    f_ = Mknod(1, "f");
  }
  // A file with data in all of its first chunks.
  void Fill(uint64_t chunks = kMany) {
    for (uint64_t i = 0; i < chunks; i += 10) ASSERT_EQ(Write(f_, i * kChunk, 10 * kChunk), 0);
  }
  // Chunks behind the file's end that a writer has not committed.
  void Prepare(uint64_t first, uint64_t chunks) {
    for (uint64_t i = first; i < first + chunks; i += 10)
      Run<rpc::PrepareWrite>(PrepareOf(f_, i * kChunk, 10 * kChunk));
  }
  uint64_t Chunks() { return volume().store.GetInode(Ino(f_))->chunk_count(); }
  bool Trims() { return volume().freeing.FindTrim(Ino(f_)) != nullptr; }
  // From now on a tick does one thing.
  void TicksAreShort() { clock_.per_look = std::chrono::microseconds(600); }
  int TicksUntilTrimmed() {
    int ticks = 0;
    for (; Trims() && ticks < 1000; ++ticks) executor_->EndTick();
    return ticks;
  }
  pb::FallocateRequest Reserve(uint64_t offset, uint64_t length, uint32_t mode = 0) {
    pb::FallocateRequest r;
    r.set_ino(f_);
    r.set_offset(offset);
    r.set_length(length);
    r.set_mode(mode);
    return r;
  }
  // The chunkserver has no room for any of them.
  void NoSpace() {
    while (!mutated_.empty()) {
      Mutated m = std::move(mutated_.front());
      mutated_.pop_front();
      pb::MutateChunkReply reply;
      reply.set_no_space(true);
      m.done(Status(), reply.SerializeAsString());
    }
    executor_->EndTick();
  }

  uint64_t f_ = 0;
};

TEST_F(ResizeTest, AFileIsCutAtOnceAndItsChunksGoInSteps) {
  Fill();
  TicksAreShort();
  EXPECT_EQ(Truncate(f_, 5 * kChunk / 2), 0);
  EXPECT_EQ(Stat(f_).size(), 5 * kChunk / 2);
  EXPECT_GT(Chunks(), 3u);
  EXPECT_TRUE(Trims());
  EXPECT_GE(TicksUntilTrimmed(), 1);
  EXPECT_EQ(Chunks(), 3u);
  EXPECT_FALSE(volume().store.db().Get(TrimKey(Ino(f_))).has_value());
  EXPECT_EQ(volume().garbage.size(), kMany - 3);
}

TEST_F(ResizeTest, NothingIsCutBeforeThatSurvivesALossOfPower) {
  ASSERT_EQ(Write(f_, 0, kChunk), 0);
  auto_ack_ = false;
  const auto mutated_after_sync = [&](const auto& change) {
    const uint64_t before = volume().store.db().synced_at();
    change();
    for (int ticks = 0; mutated_.empty() && ticks < 10; ++ticks) executor_->EndTick();
    EXPECT_EQ(mutated_.size(), 1u);
    AckMutations();
    return volume().store.db().synced_at() > before;
  };
  EXPECT_TRUE(mutated_after_sync([&] { EXPECT_EQ(Truncate(f_, kChunk / 2), 0); }));
  EXPECT_TRUE(mutated_after_sync(
      [&] { Begin<rpc::Fallocate>(Reserve(0, kChunk / 4, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)); }));
  // What takes nothing away waits for no disk.
  EXPECT_FALSE(mutated_after_sync([&] { Begin<rpc::Fallocate>(Reserve(4 * kChunk, kChunk)); }));
}

TEST_F(ResizeTest, ARestartGoesOnWithIt) {
  Fill();
  TicksAreShort();
  EXPECT_EQ(Open(f_, O_RDWR | O_TRUNC), 0);
  EXPECT_GT(Chunks(), 0u);
  clock_.per_look = {};
  Restart();
  executor_->EndTick();
  EXPECT_FALSE(Trims());
  EXPECT_EQ(Chunks(), 0u);
}

TEST_F(ResizeTest, WhatIsWrittenOnceTheCutIsSeenStays) {
  Fill();
  TicksAreShort();
  EXPECT_EQ(Truncate(f_, 0), 0);
  ASSERT_TRUE(Trims());
  EXPECT_EQ(Write(f_, 100, 50), 0);
  EXPECT_EQ(Write(f_, 150, 10 * kChunk), 0);
  TicksUntilTrimmed();
  EXPECT_EQ(Stat(f_).size(), 150 + 10 * kChunk);
  const pb::LayoutReply layout = Layout(f_);
  ASSERT_EQ(layout.chunk_size(), 11);
  for (int i = 0; i < 11; ++i) EXPECT_EQ(layout.chunk(i).index(), static_cast<uint32_t>(i));
}

TEST_F(ResizeTest, WhatWasThereBeforeTheCutDoesNotComeBack) {
  Fill();
  TicksAreShort();
  EXPECT_EQ(Truncate(f_, 0), 0);
  ASSERT_TRUE(Trims());
  // Longer by a write far out, and by truncation: nothing of before is within it.
  TestCallPtr grow = Begin<rpc::Setattr>([&] {
    pb::SetattrRequest r = SetattrOf(f_, pb::SetattrRequest::SIZE);
    r.set_size(2 * kMany * kChunk);
    return r;
  }());
  for (int i = 0; i < 1000 && !grow->answered; ++i) executor_->EndTick();
  ASSERT_TRUE(grow->answered);
  EXPECT_EQ(Stat(f_).size(), 2 * kMany * kChunk);
  EXPECT_EQ(Layout(f_).chunk_size(), 0);
}

TEST_F(ResizeTest, CuttingEndsHoweverManyChunksAreMadeMeanwhile) {
  Fill();
  TicksAreShort();
  EXPECT_EQ(Truncate(f_, 0), 0);
  int rounds = 0;
  for (uint64_t at = kMany; Trims() && rounds < 200; ++rounds, at += 300) {
    clock_.per_look = {};
    Prepare(at, 300);
    TicksAreShort();
    executor_->EndTick();
  }
  EXPECT_LT(rounds, 200);
}

TEST_F(ResizeTest, WhatAWriterLeftBehindTheEndIsZeroedInSteps) {
  Prepare(0, kMany);
  EXPECT_EQ(Stat(f_).size(), 0u);
  TicksAreShort();
  pb::SetattrRequest r = SetattrOf(f_, pb::SetattrRequest::SIZE);
  r.set_size(kMany * kChunk);
  TestCallPtr grow = Begin<rpc::Setattr>(r);
  EXPECT_FALSE(grow->answered);
  int ticks = 0;
  for (; !grow->answered && ticks < 1000; ++ticks) executor_->EndTick();
  EXPECT_GE(ticks, 2);
  EXPECT_EQ(Stat(f_).size(), kMany * kChunk);
  std::set<uint64_t> zeroed;
  for (const auto& m : history_) {
    if (m.step_size() == 1 && m.step(0).kind() == pb::ChunkStep::ZERO && m.step(0).length() == kChunk)
      zeroed.insert(m.chunk());
  }
  EXPECT_EQ(zeroed.size(), kMany);
}

TEST_F(ResizeTest, AWriteBehindSuchAGapDoesTheSame) {
  Prepare(0, kMany);
  pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f_, kMany * kChunk + 10, 100));
  TicksAreShort();
  TestCallPtr commit = Begin<rpc::CommitWrite>(CommitOf(f_, kMany * kChunk + 10, 100, layout));
  EXPECT_FALSE(commit->answered);
  for (int i = 0; i < 1000 && !commit->answered; ++i) executor_->EndTick();
  EXPECT_TRUE(commit->answered && commit->status.ok()) << commit->status.ToString();
  EXPECT_EQ(Stat(f_).size(), kMany * kChunk + 110);
}

TEST_F(ResizeTest, AReservationThatFailsTakesNothingFromOthers) {
  EXPECT_EQ(Write(f_, 0, 10), 0);
  auto_ack_ = false;
  TestCallPtr reserve = Begin<rpc::Fallocate>(Reserve(0, kMany * kChunk));
  executor_->EndTick();
  ASSERT_FALSE(reserve->answered);
  EXPECT_EQ(Stat(f_).size(), 10u) << "nobody sees what may be taken back";
  // Another one writes far out meanwhile, where nothing waits.
  EXPECT_EQ(Write(f_, 2 * kMany * kChunk, 100), 0);
  for (int i = 0; i < 100 && !reserve->answered; ++i) NoSpace();
  ASSERT_TRUE(reserve->answered);
  EXPECT_EQ(reserve->status.err(), ENOSPC);
  EXPECT_EQ(Stat(f_).size(), 2 * kMany * kChunk + 100);
  auto_ack_ = true;
  EXPECT_EQ(Layout(f_, 2 * kMany * kChunk, 1).chunk_size(), 1);
}

TEST_F(ResizeTest, AReservationThatFailsGivesBackItsSpace) {
  EXPECT_EQ(Write(f_, 0, 10), 0);
  auto_ack_ = false;
  TestCallPtr reserve = Begin<rpc::Fallocate>(Reserve(0, kMany * kChunk));
  for (int i = 0; i < 100 && !reserve->answered; ++i) NoSpace();
  ASSERT_TRUE(reserve->answered);
  EXPECT_EQ(reserve->status.err(), ENOSPC);
  TicksUntilTrimmed();
  EXPECT_EQ(Stat(f_).size(), 10u);
  EXPECT_EQ(Chunks(), 1u);
}

TEST_F(ResizeTest, AReservationIsMadePunchedAndFlaggedInSteps) {
  Run<rpc::Fallocate>(Reserve(kChunk / 2, kMany * kChunk - kChunk / 2));
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(Stat(f_).size(), kMany * kChunk);
  EXPECT_EQ(Chunks(), kMany);
  const auto all_raised = [&](const pb::LayoutReply& before) {
    const pb::LayoutReply after = Layout(f_, 0, kMany * kChunk);
    EXPECT_EQ(after.chunk_size(), static_cast<int>(kMany));
    for (int i = 0; i < after.chunk_size(); ++i)
      if (after.chunk(i).version() != before.chunk(i).version() + 1) return false;
    return true;
  };
  pb::LayoutReply before = Layout(f_, 0, kMany * kChunk);
  Run<rpc::Fallocate>(Reserve(0, kMany * kChunk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
  EXPECT_EQ(err(), 0);
  EXPECT_TRUE(all_raised(before));
  before = Layout(f_, 0, kMany * kChunk);
  // With a new mode beside it: all in one, though it makes the file immutable.
  pb::SetattrRequest flags = SetattrOf(f_, pb::SetattrRequest::FLAGS | pb::SetattrRequest::MODE);
  flags.set_flags(kFlagImmutable);
  flags.set_mode(0600);
  Run<rpc::Setattr>(flags);
  EXPECT_EQ(err(), 0);
  EXPECT_TRUE(all_raised(before));
  EXPECT_EQ(Stat(f_).mode() & 07777, 0600u);
}

TEST_F(ResizeTest, WhatIsReservedBehindTheEndReadsAsZeros) {
  Prepare(0, 10);
  Run<rpc::Fallocate>(Reserve(0, 10 * kChunk));
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(Stat(f_).size(), 10 * kChunk);
  int both = 0;
  for (const auto& m : history_) {
    both += m.step_size() == 2 && m.step(0).kind() == pb::ChunkStep::ZERO &&
            m.step(1).kind() == pb::ChunkStep::ALLOCATE;
  }
  EXPECT_EQ(both, 10);
}

TEST_F(ResizeTest, AReadOnlyVolumeKeepsLargeFilesToo) {
  Fill();
  volume().settings.read_only = true;
  const uint32_t mode = Stat(f_).mode();
  EXPECT_EQ(Truncate(f_, 0), EROFS);
  pb::SetattrRequest flags = SetattrOf(f_, pb::SetattrRequest::FLAGS | pb::SetattrRequest::MODE);
  flags.set_flags(kFlagImmutable);
  flags.set_mode(06777);
  Run<rpc::Setattr>(flags);
  EXPECT_EQ(err(), EROFS);
  Run<rpc::Fallocate>(Reserve(0, kMany * kChunk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
  EXPECT_EQ(err(), EROFS);
  EXPECT_EQ(Stat(f_).size(), kMany * kChunk);
  EXPECT_EQ(Stat(f_).mode(), mode);
  EXPECT_EQ(Stat(f_).flags(), 0u);
  EXPECT_EQ(Chunks(), kMany);
  EXPECT_EQ(executor_->parked_now(), 0u);
}

TEST_F(ResizeTest, AChunkserverIsNotLeftBehindWithoutEnd) {
  Fill(10);
  auto_ack_ = false;
  std::vector<TestCallPtr> calls;
  for (int i = 0; i < 100; ++i) {
    calls.push_back(
        Begin<rpc::Fallocate>(Reserve(0, 10 * kChunk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)));
  }
  EXPECT_LE(volume().mutations.size(), 10 * kBacklogMax);
  EXPECT_FALSE(calls.back()->answered);
  auto_ack_ = true;
  AckMutations();
  for (int i = 0; i < 1000 && !calls.back()->answered; ++i) executor_->EndTick();
  for (const TestCallPtr& c : calls) EXPECT_TRUE(c->answered && c->status.ok());
}

TEST_F(ResizeTest, AChunkIsSaidToBeAheadOnceInAWhile) {
  Fill(10);
  const pb::LayoutReply layout = Layout(f_);
  auto_ack_ = false;
  pb::ReadLayoutRequest ahead;
  ahead.set_ino(f_);
  ahead.set_ahead_chunk(layout.chunk(0).chunk());
  for (uint64_t v = 1; v <= 50; ++v) {
    ahead.set_ahead_version(layout.chunk(0).version() + v);
    Run<rpc::ReadLayout>(ahead);
  }
  EXPECT_EQ(volume().mutations.size(), 1u);
  auto_ack_ = true;
  AckMutations();
  ahead.set_ahead_version(layout.chunk(0).version() + 100);
  Run<rpc::ReadLayout>(ahead);
  EXPECT_EQ(Layout(f_).chunk(0).version(), layout.chunk(0).version() + 2);
  clock_.Advance(Volume::kRepairedFor + std::chrono::seconds(1));
  Run<rpc::ReadLayout>(ahead);
  EXPECT_EQ(Layout(f_).chunk(0).version(), layout.chunk(0).version() + 101);
}

TEST_F(ResizeTest, WhoLiesAboutAChunkDoesNotKeepItFromBeingRepaired) {
  Fill(10);
  const pb::LayoutReply layout = Layout(f_);
  const uint64_t other = Mknod(1, "other");
  ASSERT_EQ(Write(other, 0, 10), 0);
  pb::ReadLayoutRequest lie;
  lie.set_ino(other);
  lie.set_ahead_chunk(layout.chunk(0).chunk());
  lie.set_ahead_version(layout.chunk(0).version() + 1);
  Run<rpc::ReadLayout>(lie);  // of another file
  lie.set_ino(f_);
  lie.set_ahead_version(0);
  Run<rpc::ReadLayout>(lie);  // it is not ahead
  EXPECT_EQ(Layout(f_).chunk(0).version(), layout.chunk(0).version());
  lie.set_ahead_version(layout.chunk(0).version() + 7);  // the truth
  Run<rpc::ReadLayout>(lie);
  EXPECT_EQ(Layout(f_).chunk(0).version(), layout.chunk(0).version() + 8);
}

TEST_F(ResizeTest, AnotherRequestUnderTheIdOfOneThatWaitsIsRefused) {
  Fill(10);
  const uint64_t other = Mknod(1, "other");
  auto_ack_ = false;
  TestCallPtr reserve = Begin<rpc::Fallocate>(Reserve(0, 10 * kChunk));
  ASSERT_FALSE(reserve->answered);
  pb::SetattrRequest flags = SetattrOf(other, pb::SetattrRequest::MODE);
  flags.mutable_ctx()->set_op_id(op_ids_);
  EXPECT_EQ(Begin<rpc::Setattr>(flags)->status.code(), Code::kMalformed);
  pb::FallocateRequest longer = Reserve(0, 100 * kChunk);
  longer.mutable_ctx()->set_op_id(op_ids_);
  EXPECT_EQ(Begin<rpc::Fallocate>(longer)->status.code(), Code::kMalformed);
  // The same again takes the first one's place.
  pb::FallocateRequest again = Reserve(0, 10 * kChunk);
  again.mutable_ctx()->set_op_id(op_ids_);
  again.mutable_ctx()->set_acked(op_ids_ - 1);
  TestCallPtr second = Begin<rpc::Fallocate>(again);
  EXPECT_FALSE(second->answered);
  auto_ack_ = true;
  AckMutations();
  for (int i = 0; i < 1000 && !second->answered; ++i) executor_->EndTick();
  EXPECT_TRUE(second->answered && second->status.ok()) << second->status.ToString();
  EXPECT_FALSE(reserve->answered);
}

TEST_F(ResizeTest, WhoWaitsForChunkserversInCrowdsKeepsNobodyFromIt) {
  Fill(10);
  const uint64_t other = Mknod(1, "other");
  ASSERT_EQ(Write(other, 0, 10), 0);
  auto_ack_ = false;
  Begin<rpc::Fallocate>(Reserve(0, 10 * kChunk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
  pb::ReadLayoutRequest read;
  read.set_ino(f_);
  read.set_length(kChunk);
  std::vector<TestCallPtr> crowd;
  for (int i = 0; i < 20000; ++i) crowd.push_back(Begin<rpc::ReadLayout>(read));
  EXPECT_FALSE(crowd.back()->answered);
  const SessionPtr neighbour = OpenSession();
  pb::FallocateRequest r = Reserve(0, kChunk);
  r.set_ino(other);
  TestCallPtr theirs = Begin<rpc::Fallocate>(r, neighbour);
  EXPECT_FALSE(theirs->answered) << theirs->status.ToString();
  auto_ack_ = true;
  AckMutations();
  for (int i = 0; i < 1000 && !theirs->answered; ++i) executor_->EndTick();
  EXPECT_TRUE(theirs->answered && theirs->status.ok());
}

TEST_F(ResizeTest, AReservationThatTheVolumeDoesNotTakeAnyMoreIsGivenBack) {
  EXPECT_EQ(Write(f_, 0, 10), 0);
  auto_ack_ = false;
  TestCallPtr reserve = Begin<rpc::Fallocate>(Reserve(0, kMany * kChunk));
  for (int i = 0; i < 10; ++i) executor_->EndTick();
  EXPECT_EQ(Chunks(), kMany);
  volume().settings.read_only = true;
  auto_ack_ = true;
  AckMutations();
  for (int i = 0; i < 1000 && !reserve->answered; ++i) executor_->EndTick();
  EXPECT_EQ(reserve->status.err(), EROFS);
  TicksUntilTrimmed();
  EXPECT_EQ(Stat(f_).size(), 10u);
  EXPECT_EQ(Chunks(), 1u);
}

TEST_F(ResizeTest, AReservationThatIsCutMeanwhileBeginsAnew) {
  auto_ack_ = false;
  TestCallPtr reserve = Begin<rpc::Fallocate>(Reserve(0, kMany * kChunk));
  for (int i = 0; i < 10; ++i) executor_->EndTick();
  EXPECT_EQ(Chunks(), kMany);
  auto_ack_ = true;
  EXPECT_EQ(Truncate(f_, 0), 0);
  AckMutations();
  for (int i = 0; i < 1000 && !reserve->answered; ++i) executor_->EndTick();
  ASSERT_TRUE(reserve->answered && reserve->status.ok()) << reserve->status.ToString();
  EXPECT_EQ(Stat(f_).size(), kMany * kChunk);
  EXPECT_EQ(Chunks(), kMany) << "the space that was promised is there";
}

TEST_F(ResizeTest, AFileThatIsFlaggedWaitsForWhoIsFarBehind) {
  Fill(10);
  auto_ack_ = false;
  for (size_t i = 0; i < kBacklogMax; ++i)
    Begin<rpc::Fallocate>(Reserve(0, 10, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
  ASSERT_EQ(volume().mutations.size(), kBacklogMax);
  const pb::LayoutReply before = Run<rpc::PrepareWrite>(PrepareOf(f_, kChunk, 9 * kChunk));
  pb::SetattrRequest flags = SetattrOf(f_, pb::SetattrRequest::FLAGS);
  flags.set_flags(kFlagImmutable);
  TestCallPtr flag = Begin<rpc::Setattr>(flags);
  EXPECT_FALSE(flag->answered);
  EXPECT_EQ(volume().mutations.size(), kBacklogMax);
  auto_ack_ = true;
  AckMutations();
  for (int i = 0; i < 1000 && !flag->answered; ++i) executor_->EndTick();
  ASSERT_TRUE(flag->answered && flag->status.ok());
  const pb::LayoutReply after = Layout(f_);
  ASSERT_EQ(after.chunk_size(), 10);
  for (int i = 1; i < 10; ++i) EXPECT_GT(after.chunk(i).version(), before.chunk(i - 1).version());
}

TEST_F(ResizeTest, MoreGarbageThanIsKeptInMindIsDeletedToo) {
  constexpr uint64_t kAll = (Garbage::kFreshMax / 10 + 500) * 10;
  Prepare(0, kAll);
  ASSERT_EQ(Unlink(1, "f"), 0);
  deletes_fail_ = true;
  clock_.Advance(Freeing::kLinger);
  volume().freeing.EndLinger();
  while (volume().Step()) {
  }
  EXPECT_EQ(volume().garbage.size(), kAll);
  const auto run = [&](int times) {
    for (int i = 0; i < times && volume().garbage.size() != 0; ++i) {
      executor_->OnTimer();
      executor_->EndTick();
    }
  };
  run(3);
  EXPECT_TRUE(deleted_.empty());
  deletes_fail_ = false;
  run(1000);
  EXPECT_EQ(volume().garbage.size(), 0u);
  EXPECT_EQ(std::set<uint64_t>(deleted_.begin(), deleted_.end()).size(), kAll);
}

TEST_F(ResizeTest, FreeingGoesOnWhereItWas) {
  Fill();
  ASSERT_EQ(Open(f_, O_RDWR), 0);
  ASSERT_EQ(Unlink(1, "f"), 0);
  uint64_t from = 0;
  int steps = 0;
  for (bool done = false; !done && steps < 100; ++steps) {
    const uint64_t before = from;
    const Status s = volume().Change(
        [&](Txn& txn) {
          done = FreeStep(volume(), txn, Ino(f_), 100, &from);
          return Status();
        },
        [] {});
    ASSERT_TRUE(s.ok()) << s.ToString();
    if (!done) EXPECT_EQ(from, before + 100);
  }
  EXPECT_EQ(steps, 10);
}

TEST_F(ResizeTest, AttributesAreBoundedInBytesAndGoInSteps) {
  const std::string value(64 << 10, 'v');
  for (int i = 0; i < 16; ++i) ASSERT_EQ(Setxattr(f_, "user." + std::to_string(i), value), 0);
  EXPECT_EQ(Setxattr(f_, "user.more", "v"), ENOSPC);
  EXPECT_EQ(Setxattr(f_, "user.3", ""), 0);
  EXPECT_EQ(Setxattr(f_, "user.more", "v"), 0);
  EXPECT_EQ(Setxattr(f_, "user.3", value), ENOSPC);
  EXPECT_EQ(Getxattr(f_, "user.3"), "");
  const uint64_t many = Mknod(1, "many");
  for (int i = 0; i < 200; ++i) ASSERT_EQ(Setxattr(many, "user." + std::to_string(i), "v"), 0);
  EXPECT_EQ(Unlink(1, "many"), 0);
  clock_.Advance(Freeing::kLinger);
  volume().freeing.EndLinger();
  int steps = 0;
  while (volume().Step()) ++steps;
  EXPECT_GT(steps, 5);
  EXPECT_TRUE(Gone(many));
  EXPECT_FALSE(volume().store.db().Get(XattrKey(Ino(many), "user.7")).has_value());
}

}  // namespace
}  // namespace kfs::meta

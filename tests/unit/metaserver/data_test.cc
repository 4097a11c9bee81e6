#include <linux/falloc.h>

#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

using DataTest = MetaTest;

TEST_F(DataTest, AWriteCountsOnlyOnceCommitted) {
  uint64_t f = Mknod(1, "f");
  pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 100));
  ASSERT_EQ(layout.chunk_size(), 1);
  EXPECT_EQ(layout.chunk(0).version(), 1u);
  EXPECT_EQ(layout.chunk(0).server(0).address(), "127.0.0.1:9");
  EXPECT_EQ(Stat(f).size(), 0u);
  EXPECT_FALSE(Layout(f).chunk(0).written());
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(Run<rpc::CommitWrite>(CommitOf(f, 0, 100, layout)).size(), 100u);
  pb::Attr a = Stat(f);
  EXPECT_EQ(a.size(), 100u);
  EXPECT_EQ(a.allocated(), 8192u);
  EXPECT_EQ(a.mtime(), clock_.wall);
  EXPECT_TRUE(Layout(f).chunk(0).written());
}

TEST_F(DataTest, WritesSpanChunks) {
  uint64_t f = Mknod(1, "f");
  EXPECT_EQ(Write(f, kChunk - 10, 20), 0);
  pb::LayoutReply layout = Layout(f);
  ASSERT_EQ(layout.chunk_size(), 2);
  EXPECT_EQ(layout.chunk(1).index(), 1u);
  EXPECT_EQ(layout.size(), kChunk + 10);
  EXPECT_EQ(Layout(f, kChunk, 1).chunk_size(), 1);
  EXPECT_EQ(Layout(f, 0, 1).chunk_size(), 1);
}

TEST_F(DataTest, SparseFilesAndLongScans) {
  uint64_t f = Mknod(1, "f");
  EXPECT_EQ(Write(f, 100 * kChunk, 10), 0);
  EXPECT_EQ(Write(f, 50 * kChunk, 10), 0);
  EXPECT_EQ(Write(f, 3 * kChunk, 10), 0);
  pb::LayoutReply layout = Layout(f);
  ASSERT_EQ(layout.chunk_size(), 3);
  EXPECT_EQ(layout.chunk(0).index(), 3u);
  EXPECT_EQ(layout.chunk(2).index(), 100u);
}

TEST_F(DataTest, StaleVersionsAreRefused) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 5000);
  pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 100));
  Truncate(f, 10);
  Run<rpc::CommitWrite>(CommitOf(f, 0, 100, layout));
  EXPECT_EQ(err(), ESTALE);
  EXPECT_EQ(last_.code(), Code::kStaleChunk);
  EXPECT_EQ(Stat(f).size(), 10u);
  EXPECT_EQ(Write(f, 0, 100), 0);
}

TEST_F(DataTest, TruncateDropsChunksAndCutsTheLast) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 10);
  Write(f, kChunk, 10);
  Write(f, 2 * kChunk, 10);
  history_.clear();
  EXPECT_EQ(Truncate(f, kChunk + 5), 0);
  ASSERT_EQ(history_.size(), 1u);
  EXPECT_EQ(history_[0].step(0).kind(), pb::ChunkStep::TRUNCATE);
  EXPECT_EQ(history_[0].step(0).offset(), 5u);
  EXPECT_EQ(Layout(f).chunk_size(), 2);
  clock_.Advance(std::chrono::seconds(1));
  executor_->OnTimer();
  executor_->EndTick();
  EXPECT_EQ(deleted_.size(), 1u);
  EXPECT_EQ(Truncate(f, 0), 0);
  EXPECT_EQ(Layout(f).chunk_size(), 0);
  EXPECT_EQ(Stat(f).allocated(), 0u);
}

TEST_F(DataTest, GrowingZeroesTheGapOfExistingChunks) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 100);
  history_.clear();
  Write(f, 200, 10);
  ASSERT_EQ(history_.size(), 1u);
  EXPECT_EQ(history_[0].step(0).kind(), pb::ChunkStep::ZERO);
  EXPECT_EQ(history_[0].step(0).offset(), 100u);
  EXPECT_EQ(history_[0].step(0).length(), 100u);
  history_.clear();
  EXPECT_EQ(Truncate(f, 1000), 0);
  ASSERT_EQ(history_.size(), 1u);
  EXPECT_EQ(history_[0].step(0).offset(), 210u);
  EXPECT_EQ(history_[0].step(0).length(), 790u);
  EXPECT_EQ(history_[0].from() + 1, history_[0].to());
}

TEST_F(DataTest, ReadersWaitForMutationsOfWhatTheyRead) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 5000);
  Write(f, kChunk, 10);
  auto_ack_ = false;
  EXPECT_EQ(Truncate(f, 100), 0);  // acknowledged at once
  pb::ReadLayoutRequest r;
  r.set_ino(f);
  r.set_length(10);
  TestCallPtr waiting = Begin<rpc::ReadLayout>(r);
  EXPECT_FALSE(waiting->answered);
  TestCallPtr writer = Begin<rpc::PrepareWrite>(PrepareOf(f, 0, 10));
  EXPECT_FALSE(writer->answered);
  AckMutations();
  executor_->EndTick();
  ASSERT_TRUE(waiting->answered);
  ASSERT_TRUE(writer->answered);
  pb::LayoutReply layout;
  layout.ParseFromString(waiting->reply);
  EXPECT_EQ(layout.chunk(0).version(), 3u);  // the gap's zeroing, then the cut
}

TEST_F(DataTest, IntentsSurviveARestartAndFailures) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 5000);
  auto_ack_ = false;
  Truncate(f, 100);
  Truncate(f, 50);
  ASSERT_EQ(mutated_.size(), 1u);  // one at a time
  Restart();
  ASSERT_EQ(volume().mutations.size(), 2u);
  executor_->OnTimer();
  executor_->EndTick();
  ASSERT_EQ(mutated_.size(), 1u);
  EXPECT_EQ(mutated_[0].request.from(), 1u);
  Mutated m = std::move(mutated_.front());
  mutated_.pop_front();
  m.done(Status(EIO, "no"), "");
  executor_->OnTimer();
  executor_->EndTick();
  ASSERT_EQ(mutated_.size(), 1u);
  EXPECT_EQ(mutated_[0].request.to(), 2u);
  AckMutations();
  executor_->EndTick();  // the next one leaves after the commit
  AckMutations();
  executor_->EndTick();
  EXPECT_EQ(volume().mutations.size(), 0u);
  ASSERT_EQ(history_.size(), 2u);
  EXPECT_EQ(history_[1].to(), 3u);
  Restart();
  EXPECT_EQ(volume().mutations.size(), 0u);
}

TEST_F(DataTest, AheadVersionsAreRepaired) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 5000);
  pb::ReadLayoutRequest r;
  r.set_ino(f);
  r.set_length(10);
  r.set_ahead_chunk(Layout(f).chunk(0).chunk());
  r.set_ahead_version(7);
  pb::LayoutReply layout = Run<rpc::ReadLayout>(r);
  ASSERT_EQ(layout.chunk_size(), 1);
  EXPECT_EQ(layout.chunk(0).version(), 8u);
  EXPECT_EQ(Run<rpc::ReadLayout>(r).chunk(0).version(), 8u);
  r.set_ahead_version(UINT64_MAX - 1);  // a lie changes nothing
  EXPECT_EQ(Run<rpc::ReadLayout>(r).chunk(0).version(), 8u);
}

TEST_F(DataTest, Fallocate) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 5000);
  auto run = [&](uint32_t mode, uint64_t offset, uint64_t length) {
    pb::FallocateRequest r;
    r.set_ino(f);
    r.set_mode(mode);
    r.set_offset(offset);
    r.set_length(length);
    history_.clear();
    return Run<rpc::Fallocate>(r).attr().size();
  };
  EXPECT_EQ(run(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 200), 5000u);
  ASSERT_EQ(history_.size(), 1u);
  EXPECT_EQ(history_[0].step(0).kind(), pb::ChunkStep::ZERO);
  EXPECT_EQ(run(0, 4000, 4000), 8000u);
  ASSERT_EQ(history_.back().step_size(), 2);
  EXPECT_EQ(history_.back().step(0).kind(), pb::ChunkStep::ZERO);  // what is behind the end
  EXPECT_EQ(history_.back().step(0).offset(), 5000u);
  EXPECT_EQ(history_.back().step(1).kind(), pb::ChunkStep::ALLOCATE);
  EXPECT_EQ(run(FALLOC_FL_KEEP_SIZE, 0, 3 * kChunk), 8000u);
  EXPECT_EQ(Layout(f).chunk_size(), 3);
  EXPECT_EQ(run(FALLOC_FL_ZERO_RANGE, 8000, 100), 8100u);
  run(FALLOC_FL_COLLAPSE_RANGE, 0, 4096);
  EXPECT_EQ(err(), EOPNOTSUPP);
  run(FALLOC_FL_PUNCH_HOLE, 0, 4096);
  EXPECT_EQ(err(), EOPNOTSUPP);
  run(0, 0, 0);
  EXPECT_EQ(err(), EINVAL);
  run(0, UINT64_MAX - 10, 5);
  EXPECT_EQ(err(), EFBIG);
}

TEST_F(DataTest, FallocateWaitsForTheSpaceAndSaysWhenItIsNotThere) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 5000);
  auto_ack_ = false;
  pb::FallocateRequest r;
  r.set_ino(f);
  r.set_length(2 * kChunk);
  TestCallPtr call = Begin<rpc::Fallocate>(r);
  EXPECT_FALSE(call->answered);
  EXPECT_EQ(mutated_.size(), 2u);
  // Sent again meanwhile: joins the first.
  TestCallPtr again = Begin<rpc::Fallocate>([&] {
    r.mutable_ctx()->set_op_id(op_ids_);
    return r;
  }());
  EXPECT_EQ(mutated_.size(), 2u);
  pb::MutateChunkReply full;
  full.set_no_space(true);
  auto answers = std::move(mutated_);
  mutated_.clear();
  answers[0].done(Status(), pb::MutateChunkReply().SerializeAsString());
  answers[1].done(Status(), full.SerializeAsString());
  auto_ack_ = true;
  executor_->EndTick();
  ASSERT_TRUE(again->answered);
  EXPECT_EQ(again->status.err(), ENOSPC);
  EXPECT_EQ(Stat(f).size(), 5000u);  // as before
  AckMutations();
  r.mutable_ctx()->clear_op_id();
  Run<rpc::Fallocate>(r);
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(Stat(f).size(), 2 * kChunk);
}

TEST_F(DataTest, OnAFullDiskNothingIsMadeAndThingsCanBeRemoved) {
  uint64_t f = Mknod(1, "f"), g = Mknod(1, "g");
  Write(g, 0, 5000);
  executor_->SetDiskFull(true);
  Mkdir(1, "d");
  EXPECT_EQ(err(), ENOSPC);
  Run<rpc::PrepareWrite>(PrepareOf(f, 0, 100));
  EXPECT_EQ(err(), ENOSPC);
  Write(g, 0, 6000);  // no new record
  EXPECT_EQ(Stat(g).size(), 6000u);
  EXPECT_EQ(Unlink(1, "f"), 0);
  executor_->SetDiskFull(false);
  Mkdir(1, "d");
  EXPECT_EQ(err(), 0);
}

TEST_F(DataTest, OpenWithTruncateDropsContent) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 5000);
  EXPECT_EQ(Open(f, O_WRONLY | O_TRUNC), 0);
  EXPECT_EQ(Stat(f).size(), 0u);
  Write(f, 0, 5000);
  Create(1, "f", O_WRONLY | O_TRUNC);
  EXPECT_EQ(Stat(f).size(), 0u);
}

TEST_F(DataTest, AllocatedGrowsWithinAVersionAndFollowsMutations) {
  uint64_t f = Mknod(1, "f");
  pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 100));
  pb::CommitWriteRequest big = CommitOf(f, 0, 100, layout), small = big;
  big.mutable_written(0)->set_allocated(40960);
  Run<rpc::CommitWrite>(big);
  Run<rpc::CommitWrite>(small);
  EXPECT_EQ(Stat(f).allocated(), 40960u);
  Truncate(f, 50);
  EXPECT_EQ(Stat(f).allocated(), 4096u);
}

TEST_F(DataTest, BadWritesAreRefused) {
  uint64_t f = Mknod(1, "f"), d = Mkdir(1, "d");
  Run<rpc::PrepareWrite>(PrepareOf(f, 0, 0));
  EXPECT_EQ(err(), EINVAL);
  Run<rpc::PrepareWrite>(PrepareOf(f, UINT64_MAX, 10));
  EXPECT_EQ(err(), EFBIG);
  Run<rpc::PrepareWrite>(PrepareOf(d, 0, 10));
  EXPECT_EQ(err(), EISDIR);
  pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10));
  Run<rpc::CommitWrite>(CommitOf(f, 0, 2 * kChunk, layout));
  EXPECT_EQ(err(), EINVAL);
  layout.mutable_chunk(0)->set_chunk(999);
  Run<rpc::CommitWrite>(CommitOf(f, 0, 10, layout));
  EXPECT_EQ(last_.code(), Code::kStaleChunk);
}

}  // namespace
}  // namespace kfs::meta

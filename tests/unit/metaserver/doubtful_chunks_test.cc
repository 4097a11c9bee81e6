// Chunks whose first commit may have been forgotten with the metaserver's power: what is in them must not
// come back with the commit of another write.
#include <linux/falloc.h>

#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

class DoubtfulChunks : public MetaTest {
 protected:
  // A commit that is lost leaves what a write without one does: a record, and data on the chunkserver.
  void WriteAndForgetTheCommit() {
    file_ = Mknod(1, "f");
    Truncate(file_, 100000);
    before_ = Run<rpc::PrepareWrite>(PrepareOf(file_, 0, 4096));
    ASSERT_EQ(before_.chunk_size(), 1);
    Restart();
    s_ = OpenSession();
    op_ids_ = 0;
    ASSERT_EQ(ChunkNow(), before_.chunk(0).chunk());
  }
  uint64_t ChunkNow() { return Layout(file_).chunk(0).chunk(); }

  uint64_t file_ = 0;
  pb::LayoutReply before_;
};

TEST_F(DoubtfulChunks, AnotherChunkTakesTheNextWrite) {
  WriteAndForgetTheCommit();
  const pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(file_, 8192, 4096));
  ASSERT_EQ(layout.chunk_size(), 1);
  EXPECT_NE(layout.chunk(0).chunk(), before_.chunk(0).chunk());
  EXPECT_FALSE(layout.chunk(0).written());
  Run<rpc::CommitWrite>(CommitOf(file_, 8192, 4096, layout));
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(ChunkNow(), layout.chunk(0).chunk());
  // What was made since is in no doubt.
  EXPECT_EQ(Run<rpc::PrepareWrite>(PrepareOf(file_, 0, 4096)).chunk(0).chunk(), layout.chunk(0).chunk());
}

TEST_F(DoubtfulChunks, WhoHasWrittenThereBeforeWritesAgain) {
  WriteAndForgetTheCommit();
  Run<rpc::CommitWrite>(CommitOf(file_, 0, 4096, before_));
  EXPECT_EQ(err(), ESTALE);
  EXPECT_EQ(last_.code(), Code::kStaleChunk);
  EXPECT_FALSE(Layout(file_).chunk(0).written());
  EXPECT_EQ(Write(file_, 0, 4096), 0);
}

TEST_F(DoubtfulChunks, TheyStayDoubtfulAfterMoreStarts) {
  WriteAndForgetTheCommit();
  Restart();
  s_ = OpenSession();
  op_ids_ = 0;
  EXPECT_NE(Run<rpc::PrepareWrite>(PrepareOf(file_, 0, 4096)).chunk(0).chunk(), before_.chunk(0).chunk());
}

TEST_F(DoubtfulChunks, WhatWasCommittedStaysWhereItIs) {
  file_ = Mknod(1, "f");
  EXPECT_EQ(Write(file_, 0, 4096), 0);
  const uint64_t chunk = ChunkNow();
  Restart();
  s_ = OpenSession();
  op_ids_ = 0;
  EXPECT_EQ(Write(file_, 8192, 4096), 0);
  EXPECT_EQ(ChunkNow(), chunk);
}

TEST_F(DoubtfulChunks, WhatWasReservedIsReservedAnew) {
  file_ = Mknod(1, "f");
  pb::FallocateRequest r;
  r.set_ino(file_);
  r.set_length(kChunk);
  Run<rpc::Fallocate>(r);
  ASSERT_EQ(err(), 0);
  const uint64_t chunk = ChunkNow();
  Restart();
  s_ = OpenSession();
  op_ids_ = 0;
  history_.clear();
  EXPECT_EQ(Write(file_, 0, 4096), 0);
  const uint64_t now = ChunkNow();
  EXPECT_NE(now, chunk);
  ASSERT_EQ(history_.size(), 1u);
  EXPECT_EQ(history_[0].chunk(), now);
  ASSERT_EQ(history_[0].step_size(), 1);
  EXPECT_EQ(history_[0].step(0).kind(), pb::ChunkStep::ALLOCATE);
  EXPECT_EQ(history_[0].step(0).length(), kChunk);
}

}  // namespace
}  // namespace kfs::meta

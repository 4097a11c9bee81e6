// Appends: one at a time on a file, each behind the one before.
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

using AppendTest = MetaTest;

TEST_F(AppendTest, AppendersTakeTurns) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 100);
  TestCallPtr a = Begin<rpc::PrepareWrite>(PrepareOf(f, 0, 10, true));
  TestCallPtr b = Begin<rpc::PrepareWrite>(PrepareOf(f, 0, 20, true));
  ASSERT_TRUE(a->answered);
  EXPECT_FALSE(b->answered);
  pb::LayoutReply la, lb;
  la.ParseFromString(a->reply);
  EXPECT_EQ(la.offset(), 100u);
  Run<rpc::CommitWrite>(CommitOf(f, la.offset(), 10, la));
  EXPECT_EQ(err(), 0);
  ASSERT_TRUE(b->answered);
  lb.ParseFromString(b->reply);
  EXPECT_EQ(lb.offset(), 110u);
  Run<rpc::CommitWrite>(CommitOf(f, lb.offset(), 20, lb));
  EXPECT_EQ(Stat(f).size(), 130u);
}

TEST_F(AppendTest, ATokenIsGoodOnce) {
  uint64_t f = Mknod(1, "f");
  pb::LayoutReply l = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10, true));
  Run<rpc::CommitWrite>(CommitOf(f, 0, 10, l));
  EXPECT_EQ(err(), 0);
  Run<rpc::CommitWrite>(CommitOf(f, 10, 10, l));
  EXPECT_EQ(last_.code(), Code::kStaleChunk);
}

TEST_F(AppendTest, AnAbortedAppendLetsTheNextOneGoOnAFreshVersion) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 100);
  pb::LayoutReply l = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10, true));
  TestCallPtr b = Begin<rpc::PrepareWrite>(PrepareOf(f, 0, 20, true));
  pb::AbortAppendRequest abort;
  abort.set_ino(f);
  abort.set_append_token(l.append_token());
  Run<rpc::AbortAppend>(abort);
  ASSERT_TRUE(b->answered);
  pb::LayoutReply lb;
  lb.ParseFromString(b->reply);
  EXPECT_GT(lb.chunk(0).version(), l.chunk(0).version());
}

TEST_F(AppendTest, ALostConnectionEndsTheTurn) {
  uint64_t f = Mknod(1, "f");
  pb::LayoutReply l = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10, true));
  SessionPtr other = OpenSession();
  TestCallPtr b = Begin<rpc::PrepareWrite>(PrepareOf(f, 0, 20, true), other);
  EXPECT_FALSE(b->answered);
  executor_->Disconnected(*s_, 0, s_->lane(0).connection_number);
  executor_->EndTick();
  EXPECT_TRUE(b->answered);
  Attach(s_);
  Run<rpc::CommitWrite>(CommitOf(f, 0, 10, l));
  EXPECT_EQ(last_.code(), Code::kStaleChunk);
}

TEST_F(AppendTest, WhoKeepsOthersWaitingHasNoTurnAnyMore) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 100);
  SessionPtr other = OpenSession();
  const auto later = [&](Duration d) {
    clock_.Advance(d);
    for (const SessionPtr& s : {s_, other}) s->last_heard = clock_.MonoNow();
    executor_->OnTimer();
    executor_->EndTick();
  };
  pb::LayoutReply l = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10, true));
  later(2 * Appenders::kTurn);  // alone it may take its time
  EXPECT_NE(volume().appenders.Find(Ino(f)), nullptr);
  pb::OpenRequest open;
  open.set_ino(f);
  open.set_flags(O_RDWR);
  Run<rpc::Open>(open, other);
  TestCallPtr b = Begin<rpc::PrepareWrite>(PrepareOf(f, 0, 20, true), other);
  EXPECT_FALSE(b->answered);
  later(std::chrono::milliseconds(1));
  ASSERT_TRUE(b->answered);
  pb::LayoutReply lb;
  lb.ParseFromString(b->reply);
  EXPECT_GT(lb.chunk(0).version(), l.chunk(0).version());  // what is still on its way does not land
  Run<rpc::CommitWrite>(CommitOf(f, l.offset(), 10, l));
  EXPECT_EQ(last_.code(), Code::kStaleChunk);
  Run<rpc::CommitWrite>(CommitOf(f, lb.offset(), 20, lb), other);
  EXPECT_EQ(err(), 0);
}

// Whose data the chunk has, where both wrote, is not known: the append counts first, then the write's data is
// written over it.
TEST_F(AppendTest, AWriteBehindTheEndWaitsForAnAppendAndIsWrittenAgain) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 100);
  pb::LayoutReply w = Run<rpc::PrepareWrite>(PrepareOf(f, 100, 10));
  pb::LayoutReply a = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 20, true));
  EXPECT_EQ(a.offset(), 100u);
  TestCallPtr commit = Begin<rpc::CommitWrite>(CommitOf(f, 100, 10, w));
  EXPECT_FALSE(commit->answered);
  TestCallPtr within = Begin<rpc::CommitWrite>(CommitOf(f, 50, 10, w));  // not where the append writes
  EXPECT_TRUE(within->answered);
  EXPECT_EQ(Stat(f).size(), 100u);
  Run<rpc::CommitWrite>(CommitOf(f, a.offset(), 20, a));
  EXPECT_EQ(err(), 0);
  ASSERT_TRUE(commit->answered);
  EXPECT_EQ(commit->status.code(), Code::kStaleChunk);
  Run<rpc::CommitWrite>(CommitOf(f, 100, 10, Run<rpc::PrepareWrite>(PrepareOf(f, 100, 10))));
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(Stat(f).size(), 120u);
}

TEST_F(AppendTest, AWriteWhoseDataMayLieUnderAnAppendIsWrittenAgain) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 100);
  pb::LayoutReply a = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 20, true));
  pb::LayoutReply w = Run<rpc::PrepareWrite>(PrepareOf(f, 100, 10));
  Run<rpc::CommitWrite>(CommitOf(f, a.offset(), 20, a));
  pb::CommitWriteRequest late = CommitOf(f, 100, 10, w);
  late.set_size_seen(100);
  Run<rpc::CommitWrite>(late);
  EXPECT_EQ(last_.code(), Code::kStaleChunk);
  late.set_size_seen(120);  // written again, by one who knows of the append
  Run<rpc::CommitWrite>(late);
  EXPECT_EQ(err(), 0);
  pb::CommitWriteRequest before = CommitOf(f, 50, 50, w);
  before.set_size_seen(100);
  Run<rpc::CommitWrite>(before);
  EXPECT_EQ(err(), 0);
}

TEST_F(AppendTest, NothingOfAnAppendThatWasCutShortComesAfterAWriteBehindTheEnd) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 100);
  pb::LayoutReply w = Run<rpc::PrepareWrite>(PrepareOf(f, 100, 10));
  pb::LayoutReply a = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 20, true));
  pb::AbortAppendRequest abort;
  abort.set_ino(f);
  abort.set_append_token(a.append_token());
  Run<rpc::AbortAppend>(abort);
  Run<rpc::CommitWrite>(CommitOf(f, 100, 10, w));
  EXPECT_EQ(last_.code(), Code::kStaleChunk);
  w = Run<rpc::PrepareWrite>(PrepareOf(f, 100, 10));
  EXPECT_GT(w.chunk(0).version(), a.chunk(0).version());
  Run<rpc::CommitWrite>(CommitOf(f, 100, 10, w));
  EXPECT_EQ(err(), 0);
}

TEST_F(AppendTest, TokensOfAnEarlierIncarnationAreRefused) {
  uint64_t f = Mknod(1, "f");
  Write(f, 0, 100);
  pb::LayoutReply l = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10, true));
  SessionPtr old = s_;
  Restart();
  s_ = Attach(old);
  EXPECT_TRUE(ReclaimNothing(s_).ok());
  Run<rpc::CommitWrite>(CommitOf(f, 100, 10, l));
  EXPECT_EQ(last_.code(), Code::kStaleChunk);
  pb::LayoutReply again = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10, true));
  EXPECT_GT(again.chunk(0).version(), l.chunk(0).version());
}

}  // namespace
}  // namespace kfs::meta

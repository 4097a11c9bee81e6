// Inodes without a name: kept while they are open, and for as long as a lookup may lie behind its open; then
// collected in steps.
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

using OrphanTest = MetaTest;

TEST_F(OrphanTest, OpenFilesOutliveTheirNames) {
  uint64_t f = Create(1, "f").attr().ino();
  Write(f, 0, 100);
  EXPECT_EQ(Unlink(1, "f"), 0);
  EXPECT_EQ(Stat(f).nlink(), 0u);
  EXPECT_EQ(Layout(f).size(), 100u);
  EXPECT_EQ(Link(f, 1, "again"), ENOENT);  // what was removed stays removed
  EXPECT_EQ(Release(f), 0);
  EXPECT_TRUE(Gone(f));
  clock_.Advance(std::chrono::seconds(1));
  executor_->OnTimer();
  executor_->EndTick();
  EXPECT_EQ(deleted_.size(), 1u);
}

TEST_F(OrphanTest, TmpfilesMayBeNamedOnce) {
  uint64_t f = Tmpfile();
  EXPECT_EQ(Stat(f).nlink(), 0u);
  EXPECT_EQ(Link(f, 1, "named"), 0);
  EXPECT_EQ(Stat(f).nlink(), 1u);
  Release(f);
  EXPECT_EQ(Lookup(1, "named"), f);
  uint64_t g = Tmpfile(O_RDWR | O_EXCL);
  EXPECT_EQ(Link(g, 1, "no"), ENOENT);
  Release(g);
  EXPECT_TRUE(Gone(g));
}

TEST_F(OrphanTest, AFileReplacedBetweenLookupAndOpenCanStillBeOpened) {
  uint64_t old = Mknod(1, "f");
  Mknod(1, "new");
  Rename(1, "new", 1, "f");
  EXPECT_EQ(Open(old), 0);
  Settle();
  EXPECT_EQ(Stat(old).nlink(), 0u);
  EXPECT_EQ(Open(old), 0);
  Release(old);
  Release(old);
  EXPECT_TRUE(Gone(old));
}

TEST_F(OrphanTest, ManyRemovalsAreCollectedWithoutHoldingTheLoop) {
  for (int i = 0; i < 500; ++i) Mknod(1, "f" + std::to_string(i));
  for (int i = 0; i < 500; ++i) Unlink(1, "f" + std::to_string(i));
  clock_.Advance(Freeing::kLinger);
  executor_->OnTimer();
  executor_->EndTick();
  EXPECT_LT(volume().store.counters().inodes(), 500u);
  EXPECT_GT(volume().store.counters().inodes(), 1u);  // the rest in later ticks
  for (int i = 0; i < 100; ++i) executor_->EndTick();
  EXPECT_EQ(volume().store.counters().inodes(), 1u);
}

TEST_F(OrphanTest, RenameOverAnOpenFile) {
  uint64_t old = Create(1, "f").attr().ino();
  Mknod(1, "new");
  EXPECT_EQ(Rename(1, "new", 1, "f"), 0);
  EXPECT_EQ(Stat(old).nlink(), 0u);
  Release(old);
  EXPECT_TRUE(Gone(old));
}

TEST_F(OrphanTest, SurviveARestartUntilTheirSessionSaysOtherwise) {
  uint64_t kept = Create(1, "kept").attr().ino(), gone = Create(1, "gone").attr().ino();
  Unlink(1, "kept");
  Unlink(1, "gone");
  SessionPtr old = s_;
  Restart();
  SessionPtr fresh = OpenSession();
  s_ = fresh;
  Stat(gone);
  EXPECT_EQ(err(), 0);  // nobody knows yet who holds it
  s_ = Attach(old);
  pb::ReclaimRequest r;
  r.add_open()->set_ino(kept);
  r.mutable_open(0)->set_count(1);
  r.set_last(true);
  EXPECT_EQ(Reclaim(s_, r).err(), 0);
  Acknowledge(s_);
  Stat(kept);
  EXPECT_EQ(err(), 0);
  EXPECT_TRUE(Gone(gone));
  Release(kept);
  EXPECT_TRUE(Gone(kept));
}

// Its client may not have got the answer: once it asks again, it has the file open.
TEST_F(OrphanTest, WhatACreateOpenedBeforeARestartStaysUntilItIsHeardOf) {
  pb::CreateRequest r;
  r.set_parent(1);
  r.set_mode(0644);
  r.set_flags(O_CREAT | O_RDWR);
  std::vector<uint64_t> inos, op_ids;
  for (const char* name : {"a", "b", "c"}) {
    r.set_name(name);
    inos.push_back(Run<rpc::Create>(r).attr().ino());
    op_ids.push_back(op_ids_);
  }
  const SessionPtr old = s_;
  Restart();
  const SessionPtr creator = Attach(old);
  EXPECT_TRUE(ReclaimNothing(creator).ok());
  s_ = OpenSession();
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(Unlink(1, name), 0);
  for (const uint64_t ino : inos) EXPECT_FALSE(Gone(ino));
  s_ = creator;
  r.mutable_ctx()->set_op_id(op_ids[2]);
  r.mutable_ctx()->set_acked(op_ids[0]);
  EXPECT_TRUE(Begin<rpc::Create>(r)->status.ok());
  EXPECT_TRUE(Gone(inos[0]));   // it had that answer, and has closed the file since
  EXPECT_FALSE(Gone(inos[1]));  // may yet be asked for again
  EXPECT_FALSE(Gone(inos[2]));  // is open
  Release(inos[2]);
  EXPECT_TRUE(Gone(inos[2]));
  volume().EndSession(creator, "it has had enough");
  s_ = OpenSession();
  EXPECT_TRUE(Gone(inos[1]));
}

TEST_F(OrphanTest, AreCollectedWhenTheSessionExpires) {
  uint64_t f = Create(1, "f").attr().ino();
  Unlink(1, "f");
  clock_.Advance(std::chrono::seconds(31));
  executor_->OnTimer();
  s_ = OpenSession();
  EXPECT_TRUE(Gone(f));
  EXPECT_EQ(volume().store.counters().inodes(), 1u);
}

TEST_F(OrphanTest, WhoHasLostCountOfWhatItHasOpenLetsGoOfItAllTheSame) {
  uint64_t f = Mknod(1, "f");
  const SessionPtr other = OpenSession();
  for (const uint32_t count : {UINT32_MAX - 1, 5u, UINT32_MAX})
    volume().open_files.Add(*other, Ino(f), kReadChunk, count);
  EXPECT_EQ(Unlink(1, "f"), 0);
  EXPECT_FALSE(Gone(f));
  volume().EndSession(other, "it has had enough");
  EXPECT_TRUE(Gone(f));
}

TEST_F(OrphanTest, LargeFilesGoInBoundedSteps) {
  uint64_t f = Mknod(1, "f");
  pb::FallocateRequest r;
  r.set_ino(f);
  r.set_length(1000 * kChunk);
  Run<rpc::Fallocate>(r);
  ASSERT_EQ(err(), 0);
  EXPECT_EQ(Unlink(1, "f"), 0);
  clock_.Advance(Freeing::kLinger);
  volume().freeing.EndLinger();
  int steps = 1;
  while (volume().Step()) {
    ++steps;
    EXPECT_LE(volume().garbage.size(), steps * Freeing::kReapStep);
  }
  EXPECT_GT(steps, 5);
  EXPECT_EQ(volume().garbage.size(), 1000u);
  EXPECT_TRUE(Gone(f));
  executor_->OnTimer();
  executor_->EndTick();
  EXPECT_EQ(deleted_.size(), 1000u);
  EXPECT_EQ(volume().garbage.size(), 0u);
  EXPECT_EQ(volume().mutations.size(), 0u);
}

}  // namespace
}  // namespace kfs::meta

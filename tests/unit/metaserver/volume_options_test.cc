// Options of a volume that change what ops do: read-only, atime.
#include <linux/falloc.h>

#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

class ReadOnlyTest : public MetaTest {
 protected:
  void SetUp() override {
    MetaTest::SetUp();
    file_ = Create(1, "file").attr().ino();
    ASSERT_EQ(Write(file_, 0, 100000), 0);
    ASSERT_EQ(Setxattr(file_, "user.a", "1"), 0);
    dir_ino_ = Mkdir(1, "dir");
    ASSERT_EQ(Symlink(1, "link", "file"), 0);
    before_ = Stat(file_);
  }
  void SetReadOnly(bool on) { volume().settings.read_only = on; }
  int Fallocate(int mode) {
    pb::FallocateRequest r;
    r.set_ino(file_);
    r.set_mode(static_cast<uint32_t>(mode));
    r.set_length(200000);
    Run<rpc::Fallocate>(r);
    return err();
  }

  uint64_t file_ = 0, dir_ino_ = 0;
  pb::Attr before_;
};

TEST_F(ReadOnlyTest, EveryKindOfChangeIsRefused) {
  SetReadOnly(true);
  EXPECT_EQ(Mkdir(1, "d"), 0u);
  EXPECT_EQ(err(), EROFS);
  Mknod(1, "n");
  EXPECT_EQ(err(), EROFS);
  Create(1, "c");
  EXPECT_EQ(err(), EROFS);
  Tmpfile();
  EXPECT_EQ(err(), EROFS);
  EXPECT_EQ(Symlink(1, "s", "t"), EROFS);
  EXPECT_EQ(Link(file_, 1, "l"), EROFS);
  EXPECT_EQ(Unlink(1, "file"), EROFS);
  EXPECT_EQ(Rmdir(1, "dir"), EROFS);
  EXPECT_EQ(Rename(1, "file", 1, "renamed"), EROFS);
  EXPECT_EQ(Rename(1, "file", dir_ino_, "file"), EROFS);
  EXPECT_EQ(Rename(1, "file", 1, "link", /*RENAME_EXCHANGE*/ 2), EROFS);
  EXPECT_EQ(Chmod(file_, 0600), EROFS);
  EXPECT_EQ(Chown(file_, 1, 1), EROFS);
  EXPECT_EQ(Truncate(file_, 10), EROFS);
  EXPECT_EQ(Truncate(file_, 1 << 20), EROFS);
  Run<rpc::Setattr>(SetattrOf(file_, pb::SetattrRequest::ATIME_NOW | pb::SetattrRequest::MTIME_NOW));
  EXPECT_EQ(err(), EROFS);
  EXPECT_EQ(Setxattr(file_, "user.b", "1"), EROFS);
  EXPECT_EQ(Setxattr(file_, "user.a", "2"), EROFS);
  pb::RemovexattrRequest remove;
  remove.set_ino(file_);
  remove.set_name("user.a");
  Run<rpc::Removexattr>(remove);
  EXPECT_EQ(err(), EROFS);
  EXPECT_EQ(Open(file_, O_WRONLY | O_TRUNC), EROFS);
  EXPECT_EQ(Fallocate(0), EROFS);
  EXPECT_EQ(Fallocate(FALLOC_FL_KEEP_SIZE), EROFS);
  EXPECT_EQ(Fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), EROFS);
  EXPECT_EQ(Fallocate(FALLOC_FL_ZERO_RANGE), EROFS);

  // Nothing has changed, there and on the chunkservers.
  SetReadOnly(false);
  EXPECT_EQ(Stat(file_).SerializeAsString(), before_.SerializeAsString());
  EXPECT_EQ(Names(1), (std::vector<std::string>{"file", "dir", "link"}));
  EXPECT_EQ(Getxattr(file_, "user.a"), "1");
  EXPECT_TRUE(history_.empty());
  EXPECT_TRUE(deleted_.empty());
}

TEST_F(ReadOnlyTest, WritesAreRefusedBeforeAndAfterTheData) {
  const pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(file_, 0, 1000));
  ASSERT_TRUE(last_.ok());
  SetReadOnly(true);
  Run<rpc::PrepareWrite>(PrepareOf(file_, 0, 1000));
  EXPECT_EQ(err(), EROFS);
  Run<rpc::PrepareWrite>(PrepareOf(file_, 0, 1000, /*append=*/true));
  EXPECT_EQ(err(), EROFS);
  Run<rpc::CommitWrite>(CommitOf(file_, 0, 1000, layout));
  EXPECT_EQ(err(), EROFS);
}

TEST_F(ReadOnlyTest, ATurnToAppendEndsAlsoWhenTheWriteIsRefused) {
  const pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(file_, 0, 1000, /*append=*/true));
  ASSERT_TRUE(last_.ok());
  SetReadOnly(true);
  Run<rpc::CommitWrite>(CommitOf(file_, 100000, 1000, layout));
  EXPECT_EQ(err(), EROFS);
  SetReadOnly(false);
  SessionPtr other = OpenSession();
  TestCallPtr next = Begin<rpc::PrepareWrite>(PrepareOf(file_, 0, 10, /*append=*/true), other);
  EXPECT_TRUE(next->answered);
}

TEST_F(ReadOnlyTest, ReadingLocksAndClosingGoOn) {
  SetReadOnly(true);
  EXPECT_EQ(Lookup(1, "file"), file_);
  EXPECT_EQ(Layout(file_).chunk_size(), 1);
  EXPECT_EQ(Names(1).size(), 3u);
  EXPECT_EQ(Open(file_), 0);
  Run<rpc::SetLock>(LockOf(file_, 1, pb::LockRange::WRITE));
  EXPECT_EQ(err(), 0);
  Run<rpc::SetLock>(LockOf(file_, 1, pb::LockRange::UNLOCK));
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(Release(file_), 0);
  pb::FsyncRequest sync;
  sync.set_ino(file_);
  TestCallPtr synced = Begin<rpc::Fsync>(sync);
  executor_->EndTick();
  EXPECT_TRUE(synced->answered && synced->status.ok()) << synced->status.ToString();
}

TEST_F(ReadOnlyTest, ANamelessFileGoesWithItsLastClose) {
  const uint64_t ino = Create(1, "open").attr().ino();
  ASSERT_EQ(Unlink(1, "open"), 0);
  SetReadOnly(true);
  EXPECT_EQ(Release(ino), 0);
  EXPECT_TRUE(Gone(ino));
}

TEST_F(ReadOnlyTest, WhatWasDoneBeforeIsAnsweredTheSameAgain) {
  pb::MkdirRequest r;
  r.set_parent(1);
  r.set_name("once");
  r.mutable_ctx()->set_op_id(700);
  Run<rpc::Mkdir>(r);
  ASSERT_TRUE(last_.ok());
  SetReadOnly(true);
  Run<rpc::Mkdir>(r);
  EXPECT_TRUE(last_.ok()) << last_.ToString();
}

TEST_F(ReadOnlyTest, ReadingLeavesNoTrace) {
  clock_.Advance(std::chrono::hours(48));
  SetReadOnly(true);
  pb::ReadLayoutRequest r;
  r.set_ino(file_);
  r.set_length(100);
  r.set_atime(true);
  Run<rpc::ReadLayout>(r);
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(Stat(file_).atime(), before_.atime());
}

class AtimeTest : public ReadOnlyTest {
 protected:
  int64_t AfterReading() {
    clock_.Advance(std::chrono::hours(48));
    pb::ReadLayoutRequest r;
    r.set_ino(file_);
    r.set_length(100);
    r.set_atime(true);
    Run<rpc::ReadLayout>(r);
    EXPECT_EQ(err(), 0);
    return Stat(file_).atime();
  }
};

TEST_F(AtimeTest, ReadingIsNotedUnlessItIsOff) {
  volume().settings.atime = false;
  EXPECT_EQ(AfterReading(), before_.atime());
  volume().settings.atime = true;
  EXPECT_GT(AfterReading(), before_.atime());
}

TEST_F(AtimeTest, OffAPersonMaySetItAllTheSame) {
  volume().settings.atime = false;
  pb::SetattrRequest r = SetattrOf(file_, pb::SetattrRequest::ATIME);
  r.set_atime(42);
  Run<rpc::Setattr>(r);
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(Stat(file_).atime(), 42);
}

}  // namespace
}  // namespace kfs::meta

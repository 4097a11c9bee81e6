#include "fuse/node_table.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace kfs::fuse {
namespace {

Attr File(uint64_t ino, uint32_t nlink = 1) {
  Attr a;
  a.ino = Ino(ino);
  a.mode = S_IFREG | 0644;
  a.nlink = nlink;
  a.size = 100;
  a.allocated = 8192;
  a.mtime = 77;
  return a;
}

TEST(NodeTable, CountsLookupsAndForgetsExactly) {
  NodeTable t;
  t.Looked(File(5));
  t.Looked(File(5));
  t.Looked(File(6));
  EXPECT_EQ(t.CountOf(Ino(5)), 2u);
  t.Forget(Ino(5), 1);
  EXPECT_TRUE(t.Holds(Ino(5)));
  t.Forget(Ino(5), 1);
  EXPECT_FALSE(t.Holds(Ino(5)));
  EXPECT_EQ(t.size(), 1u);
}

TEST(NodeTable, AReplyThatWasNotTakenCountsNothing) {
  NodeTable t;
  t.Looked(File(5));
  t.Unlooked(Ino(5));
  EXPECT_EQ(t.size(), 0u);
}

TEST(NodeTable, ForgettingTooMuchOrTheUnknownDoesNoHarm) {
  NodeTable t;
  t.Forget(Ino(9), 3);
  t.Looked(File(5));
  t.Forget(Ino(5), 100);
  EXPECT_EQ(t.size(), 0u);
}

TEST(NodeTable, TheRootIsAlwaysHeld) {
  NodeTable t;
  EXPECT_TRUE(t.Holds(kRootIno));
  t.Forget(kRootIno, 1);
  EXPECT_TRUE(t.Holds(kRootIno));
}

TEST(NodeTable, RemembersARemovedInodeAsItWasWithoutLinks) {
  NodeTable t;
  t.Looked(File(5, 2));
  Attr newer = File(5, 2);
  newer.size = 4096;
  t.Update(newer);
  t.Removed(Ino(5), 1);
  EXPECT_EQ(t.Last(Ino(5))->nlink, 1u);
  t.Gone(Ino(5));
  const auto last = t.Last(Ino(5));
  ASSERT_TRUE(last);
  EXPECT_EQ(last->nlink, 0u);
  EXPECT_EQ(last->size, 4096u);
  EXPECT_EQ(last->allocated, 8192u);
  EXPECT_EQ(last->mtime, 77);
  EXPECT_EQ(last->mode, uint32_t{S_IFREG | 0644});
}

TEST(NodeTable, UpdatesOfWhatTheKernelDoesNotHoldAreNotKept) {
  NodeTable t;
  t.Update(File(5));
  t.Removed(Ino(5), 0);
  EXPECT_EQ(t.size(), 0u);
  EXPECT_FALSE(t.Last(Ino(5)));
}

TEST(NodeTable, ADevicesNumberIsKept) {
  NodeTable t;
  Attr dev = File(5);
  dev.mode = S_IFCHR | 0600;
  dev.rdev = 0x103;
  dev.size = 0;
  t.Looked(dev);
  EXPECT_EQ(t.Last(Ino(5))->rdev, 0x103u);
  EXPECT_EQ(t.Last(Ino(5))->size, 0u);
}

}  // namespace
}  // namespace kfs::fuse

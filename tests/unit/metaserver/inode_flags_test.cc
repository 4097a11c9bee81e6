// Immutable and append-only inodes. tests/posix/inode_flags_test.cc has what each operation answers.
#include "common/inode_flags.h"

#include "metaserver/store/features.h"
#include "metaserver/store/keys.h"
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

using V = pb::SetattrRequest;

class InodeFlagsTest : public MetaTest {
 protected:
  int SetFlags(uint64_t ino, uint32_t flags) {
    V r = SetattrOf(ino, V::FLAGS);
    r.set_flags(flags);
    Run<rpc::Setattr>(r);
    return err();
  }
  uint64_t Features() {
    rec::Format format;
    EXPECT_TRUE(format.ParseFromString(volume().store.db().Get(FormatKey()).value_or("")));
    return format.ro_compat();
  }
};

TEST_F(InodeFlagsTest, AWriterWithALayoutOfBeforeIsFencedOff) {
  const uint64_t f = Mknod(1, "f");
  Write(f, 0, 100);
  const pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 100));
  const uint64_t version = layout.chunk(0).version();
  EXPECT_EQ(SetFlags(f, kFlagImmutable), 0);
  // The chunkserver refuses it from now on, and so do we.
  EXPECT_GT(Layout(f).chunk(0).version(), version);
  Run<rpc::CommitWrite>(CommitOf(f, 0, 100, layout));
  EXPECT_EQ(last_.code(), Code::kStaleChunk);
  Run<rpc::PrepareWrite>(PrepareOf(f, 0, 100));
  EXPECT_EQ(err(), EPERM);
  EXPECT_EQ(SetFlags(f, 0), 0);
  EXPECT_EQ(Write(f, 0, 100), 0);
}

TEST_F(InodeFlagsTest, AppendOnlyTakesAppendsAlone) {
  const uint64_t f = Mknod(1, "f");
  Write(f, 0, 100);
  EXPECT_EQ(SetFlags(f, kFlagAppendOnly), 0);
  Run<rpc::PrepareWrite>(PrepareOf(f, 50, 10));
  EXPECT_EQ(err(), EPERM);
  pb::PrepareWriteRequest append = PrepareOf(f, 0, 10);
  append.set_append(true);
  EXPECT_EQ(Run<rpc::PrepareWrite>(append).offset(), 100u);
  EXPECT_EQ(err(), 0);
}

TEST_F(InodeFlagsTest, OnlyRootSetsThemAndOnlyOnesThatAreKept) {
  const uint64_t f = Mknod(1, "f");
  Chown(f, 1000, 1000);
  EXPECT_EQ(SetFlags(f, 0x1), EOPNOTSUPP);
  EXPECT_EQ(SetFlags(f, kFlagImmutable | 0x80000), EOPNOTSUPP);
  As(1000, 1000);
  EXPECT_EQ(SetFlags(f, kFlagNoDump), 0);
  EXPECT_EQ(SetFlags(f, kFlagImmutable), EPERM);
  As(1001, 1001);
  EXPECT_EQ(SetFlags(f, 0), EPERM);
  As(0, 0);
  EXPECT_EQ(Stat(f).flags(), kFlagNoDump);
  EXPECT_EQ(SetFlags(Mknod(1, "p", S_IFIFO | 0644), kFlagImmutable), EOPNOTSUPP);
}

TEST_F(InodeFlagsTest, TheDatabaseSaysThatItHasThem) {
  const uint64_t f = Mknod(1, "f");
  EXPECT_EQ(SetFlags(f, kFlagNoDump), 0);
  EXPECT_EQ(Features(), 0u);
  EXPECT_EQ(SetFlags(f, kFlagAppendOnly), 0);
  EXPECT_EQ(Features(), kRoCompatInodeFlags);
  Restart();
  s_ = Attach(s_);
  EXPECT_TRUE(ReclaimNothing(s_).ok());
  EXPECT_EQ(Stat(f).flags(), kFlagAppendOnly);
  EXPECT_EQ(Unlink(1, "f"), EPERM);
}

}  // namespace
}  // namespace kfs::meta

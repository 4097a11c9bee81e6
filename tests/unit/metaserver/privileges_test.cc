// What goes with a change of content or owner. tests/posix/privilege_matrix_test.cc has the whole table.
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

using V = pb::SetattrRequest;

class PrivilegesTest : public MetaTest {
 protected:
  // A file of 1000:77 that everybody may write, with a chunk.
  uint64_t MakeFile(uint32_t mode) {
    As(0, 0);
    const uint64_t f = Mknod(1, "f" + std::to_string(++files_));
    Write(f, 0, 100);
    Chown(f, 1000, 77);
    Chmod(f, mode);
    return f;
  }
  uint32_t ModeOf(uint64_t f) { return Stat(f).mode() & 07777; }
  int files_ = 0;
};

TEST_F(PrivilegesTest, SetgidWithoutGroupExecutionAsksForTheWritersGroups) {
  const uint64_t f = MakeFile(02666);
  As(1001, 1001);
  groups_known_ = false;
  EXPECT_EQ(Write(f, 0, 10), EACCES);
  EXPECT_EQ(last_.code(), Code::kNeedGroups);
  EXPECT_EQ(ModeOf(f), 02666u);
  groups_known_ = true;
  groups_ = {77};
  EXPECT_EQ(Write(f, 0, 10), 0);
  EXPECT_EQ(ModeOf(f), 02666u);
  groups_ = {};
  EXPECT_EQ(Write(f, 0, 10), 0);
  EXPECT_EQ(ModeOf(f), 0666u);
}

TEST_F(PrivilegesTest, AnAppendKeepsItsTurnWhileGroupsAreLookedUp) {
  const uint64_t f = MakeFile(02666);
  As(1001, 1001);
  groups_known_ = false;
  pb::PrepareWriteRequest prepare = PrepareOf(f, 0, 10);
  prepare.set_append(true);
  const pb::LayoutReply layout = Run<rpc::PrepareWrite>(prepare);
  ASSERT_NE(layout.append_token(), 0u);
  pb::CommitWriteRequest commit = CommitOf(f, layout.offset(), 10, layout);
  commit.set_append_token(layout.append_token());
  Run<rpc::CommitWrite>(commit);
  EXPECT_EQ(last_.code(), Code::kNeedGroups);
  groups_known_ = true;
  EXPECT_EQ(Run<rpc::CommitWrite>(commit).size(), 110u);
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(ModeOf(f), 0666u);
}

TEST_F(PrivilegesTest, RootKeepsTheIdsUnlessItLacksTheCapability) {
  const uint64_t f = MakeFile(06777);
  EXPECT_EQ(Truncate(f, 50), 0);
  EXPECT_EQ(ModeOf(f), 06777u);
  V r = SetattrOf(f, V::SIZE | V::KILL_PRIV);
  r.set_size(40);
  Run<rpc::Setattr>(r);
  EXPECT_EQ(ModeOf(f), 0777u);
  Chmod(f, 06777);
  pb::OpenRequest open;
  open.set_ino(f);
  open.set_flags(O_WRONLY | O_TRUNC);
  Run<rpc::Open>(open);
  EXPECT_EQ(ModeOf(f), 06777u);
  open.set_kill_priv(true);
  Run<rpc::Open>(open);
  EXPECT_EQ(ModeOf(f), 0777u);
}

TEST_F(PrivilegesTest, CapabilitiesGoWithAnyonesChange) {
  const uint64_t f = MakeFile(0666);
  Setxattr(f, "security.capability", "caps");
  ASSERT_EQ(err(), 0);
  EXPECT_EQ(Truncate(f, 50), 0);  // root's, too
  Getxattr(f, "security.capability");
  EXPECT_EQ(err(), ENODATA);
}

TEST_F(PrivilegesTest, OnlyWhoMayChangeTheFileEndsItsPrivileges) {
  const uint64_t f = MakeFile(06744);
  Setxattr(f, "security.capability", "caps");
  pb::RemovexattrRequest by_hand;
  by_hand.set_ino(f);
  by_hand.set_name("security.capability");
  pb::RemovexattrRequest kill = by_hand;
  kill.set_kill_priv(true);
  As(1001, 1001);
  Run<rpc::Removexattr>(by_hand);
  EXPECT_EQ(err(), EPERM);
  Run<rpc::Removexattr>(kill);
  EXPECT_EQ(err(), EACCES);
  Run<rpc::Setattr>(SetattrOf(f, V::KILL_PRIV));
  EXPECT_EQ(err(), 0) << "a stranger's chown to nothing has no effect, and succeeds";
  EXPECT_EQ(ModeOf(f), 06744u);
  As(1000, 1000);
  Run<rpc::Removexattr>(kill);
  EXPECT_EQ(err(), 0);
  Run<rpc::Removexattr>(kill);
  EXPECT_EQ(err(), 0) << "there need be none";
  Getxattr(f, "security.capability");
  EXPECT_EQ(err(), ENODATA);
  Run<rpc::Setattr>(SetattrOf(f, V::KILL_PRIV));
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(ModeOf(f), 0744u);
}

}  // namespace
}  // namespace kfs::meta

// What capabilities, and the word of a mount's kernel, grant beyond uid and groups.
#include <fcntl.h>
#include <linux/capability.h>

#include "common/inode_flags.h"
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

using V = pb::SetattrRequest;

class RightsTest : public MetaTest {
 protected:
  // A stranger with these capabilities, known to the server.
  void Stranger(std::initializer_list<int> caps, std::vector<uint32_t> uids = {},
                std::vector<uint32_t> gids = {}) {
    uint32_t bits = 0;
    for (int cap : caps) bits |= 1u << cap;
    As(65534, 65534);
    groups_known_ = true;
    more_of_caller_ = [=](pb::Context& ctx) {
      ctx.set_caps(bits);
      ctx.mutable_caps_uids()->Assign(uids.begin(), uids.end());
      ctx.mutable_caps_gids()->Assign(gids.begin(), gids.end());
    };
  }
  // A stranger of whom only the mount's kernel knows more.
  void Unseen(std::optional<uint32_t> seen_owner = std::nullopt) {
    As(65534, 65534);
    groups_known_ = true;
    more_of_caller_ = [=](pb::Context& ctx) {
      ctx.set_kernel_checked(true);
      if (seen_owner) ctx.set_seen_owner(*seen_owner);
    };
  }
  int MayAccess(uint64_t ino, uint32_t mask) {
    pb::AccessRequest r;
    r.set_ino(ino);
    r.set_mask(mask);
    Run<rpc::Access>(r);
    return err();
  }
  uint64_t f_ = 0, dir_ino_ = 0;
  void SetUp() override {
    MetaTest::SetUp();
    f_ = Mknod(1, "f");
    Chown(f_, 1000, 1000);
    Chmod(f_, 0);
    dir_ino_ = Mkdir(1, "d");
    Chmod(dir_ino_, 0700);
  }
};

TEST_F(RightsTest, ARefusalAsksForCapabilitiesFirst) {
  As(65534, 65534);
  groups_known_ = false;
  EXPECT_EQ(MayAccess(f_, 4), EACCES);
  EXPECT_EQ(last_.code(), Code::kNeedGroups);
  EXPECT_EQ(Chmod(f_, 0600), EACCES);
  EXPECT_EQ(last_.code(), Code::kNeedGroups);
  EXPECT_EQ(Setxattr(f_, "trusted.x", "1"), EACCES);
  EXPECT_EQ(last_.code(), Code::kNeedGroups);
  // Known to have none, it is refused in the plain words of each.
  Stranger({});
  EXPECT_EQ(MayAccess(f_, 4), EACCES);
  EXPECT_NE(last_.code(), Code::kNeedGroups);
  EXPECT_EQ(Chmod(f_, 0600), EPERM);
  EXPECT_EQ(Setxattr(f_, "trusted.x", "1"), EPERM);
}

TEST_F(RightsTest, ReadSearchReadsAndSearchesAndNoMore) {
  Stranger({CAP_DAC_READ_SEARCH});
  EXPECT_EQ(MayAccess(f_, 4), 0);
  EXPECT_EQ(MayAccess(f_, 2), EACCES);
  EXPECT_EQ(MayAccess(f_, 6), EACCES);
  EXPECT_EQ(MayAccess(f_, 1), EACCES);
  EXPECT_EQ(MayAccess(dir_ino_, 5), 0);
  EXPECT_EQ(MayAccess(dir_ino_, 2), EACCES);
  EXPECT_EQ(Mknod(dir_ino_, "new"), 0u);
}

TEST_F(RightsTest, OverrideDoesAllButExecuteWhatNobodyMay) {
  Stranger({CAP_DAC_OVERRIDE});
  EXPECT_EQ(MayAccess(f_, 6), 0);
  EXPECT_EQ(MayAccess(f_, 1), EACCES);
  EXPECT_NE(Mknod(dir_ino_, "new"), 0u);
  EXPECT_EQ(Chmod(f_, 0600), EPERM) << "it does not make an owner";
}

TEST_F(RightsTest, ChownAndFownerAndTheRest) {
  Stranger({CAP_CHOWN});
  EXPECT_EQ(Chown(f_, 7, 8), 0);
  EXPECT_EQ(Chmod(f_, 0600), EPERM);
  Stranger({CAP_FOWNER});
  EXPECT_EQ(Chmod(f_, 0640), 0);
  EXPECT_EQ(Chown(f_, 65534, 65534), EPERM);
  EXPECT_EQ(Setxattr(f_, "trusted.x", "1"), EPERM);
  Stranger({CAP_SYS_ADMIN});
  EXPECT_EQ(Setxattr(f_, "trusted.x", "1"), 0);
  EXPECT_EQ(Getxattr(f_, "trusted.x"), "1");
  EXPECT_EQ(Setxattr(f_, "security.capability", "1"), EPERM);
  Stranger({CAP_SETFCAP});
  EXPECT_EQ(Setxattr(f_, "security.capability", "1"), 0);
  Stranger({CAP_MKNOD, CAP_DAC_OVERRIDE});
  EXPECT_NE(Mknod(dir_ino_, "null", S_IFCHR | 0600), 0u);
}

TEST_F(RightsTest, FsetidKeepsTheSetgidBitOfAForeignGroup) {
  As(1000, 1000);
  Stranger({CAP_FOWNER, CAP_FSETID});
  EXPECT_EQ(Chmod(f_, 02755), 0);
  EXPECT_EQ(Stat(f_).mode() & 07777, 02755u);
  Stranger({CAP_FOWNER});
  EXPECT_EQ(Chmod(f_, 02755), 0);
  EXPECT_EQ(Stat(f_).mode() & 07777, 0755u);
}

TEST_F(RightsTest, InAUserNamespaceTheyCountForWhatItMaps) {
  Stranger({CAP_DAC_OVERRIDE, CAP_CHOWN, CAP_SYS_ADMIN}, {100000, 65536}, {100000, 65536});
  EXPECT_EQ(MayAccess(f_, 4), EACCES);
  EXPECT_EQ(Setxattr(f_, "trusted.x", "1"), EPERM);
  Stranger({CAP_DAC_OVERRIDE}, {5, 1, 1000, 1}, {1000, 1});
  EXPECT_EQ(MayAccess(f_, 4), 0);
  Stranger({CAP_DAC_OVERRIDE}, {1000, 1}, {1001, 5});
  EXPECT_EQ(MayAccess(f_, 4), EACCES) << "the group is not mapped";
  Stranger({CAP_DAC_OVERRIDE}, {1000}, {1000, 1});  // half a pair
  EXPECT_EQ(MayAccess(f_, 4), EACCES);
}

TEST_F(RightsTest, TheKernelsWordGrantsWhatOnlyItKnows) {
  Unseen();
  EXPECT_EQ(MayAccess(f_, 6), 0);
  EXPECT_NE(Mknod(dir_ino_, "new"), 0u);
  EXPECT_EQ(Chmod(f_, 0640), 0);
  // A list of names is not filtered by the kernel.
  As(0, 0);
  more_of_caller_ = nullptr;
  EXPECT_EQ(Setxattr(f_, "trusted.x", "1"), 0);
  Unseen();
  pb::ListxattrRequest r;
  r.set_ino(f_);
  EXPECT_EQ(Run<rpc::Listxattr>(r).name_size(), 0);
  EXPECT_EQ(err(), 0);
}

TEST_F(RightsTest, TrustedAttributesAreListedForCapSysAdminAlone) {
  As(0, 0);
  EXPECT_EQ(Setxattr(f_, "trusted.x", "1"), 0);
  pb::ListxattrRequest r;
  r.set_ino(f_);
  // uid, whether capabilities were sent, which, the namespace they are of.
  const auto listed = [&](uint32_t uid, bool known, uint32_t caps, std::vector<uint32_t> ids) {
    As(uid, uid);
    groups_known_ = known;
    more_of_caller_ = [=](pb::Context& ctx) {
      ctx.set_pid(1234);
      ctx.set_caps(caps);
      ctx.mutable_caps_uids()->Assign(ids.begin(), ids.end());
      ctx.mutable_caps_gids()->Assign(ids.begin(), ids.end());
    };
    return Run<rpc::Listxattr>(r).name_size();
  };
  const uint32_t admin = 1u << CAP_SYS_ADMIN, all = ~0u;
  EXPECT_EQ(listed(0, false, 0, {}), 0);
  EXPECT_EQ(err(), EACCES) << "asked once more, with the capabilities";
  EXPECT_EQ(listed(0, true, all, {}), 1);
  EXPECT_EQ(listed(0, true, all & ~admin, {}), 0) << "root without it";
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(listed(0, true, all, {0, 65536}), 0) << "root of another user namespace";
  EXPECT_EQ(listed(65534, true, admin, {}), 1);
  EXPECT_EQ(listed(65534, true, 0, {}), 0);
}

TEST_F(RightsTest, TheKernelsWordOfAFormerOwnerIsWorthNothing) {
  Unseen(/*seen_owner=*/65534);
  EXPECT_EQ(Chmod(f_, 04777), EPERM);
  EXPECT_EQ(Chown(f_, 65534, 65534), EPERM);
  Unseen(/*seen_owner=*/1000);
  EXPECT_EQ(Chmod(f_, 0640), 0);
}

TEST_F(RightsTest, SquashedTheyAreForgotten) {
  for (const bool all : {false, true}) {
    rec::Rights rights;
    rights.set_squash(all ? pb::KeyConf::ALL : pb::KeyConf::ROOT);
    rights.set_squash_uid(99);
    pb::Context ctx;
    ctx.set_uid(1000);
    ctx.set_groups_known(true);
    ctx.set_caps(1u << CAP_DAC_OVERRIDE);
    ctx.add_caps_uids(0);
    ctx.add_caps_gids(0);
    ctx.set_kernel_checked(true);
    ctx.set_seen_owner(5);
    SquashCaller(rights, &ctx);
    EXPECT_EQ(ctx.uid(), all ? 99u : 1000u);
    EXPECT_EQ(ctx.caps(), 0u);
    EXPECT_EQ(ctx.caps_uids_size() + ctx.caps_gids_size(), 0);
    EXPECT_FALSE(ctx.kernel_checked());
    EXPECT_EQ(ctx.groups_known(), all) << "who is not mapped is asked for its groups";
  }
}

TEST_F(RightsTest, TheKernelsWordDoesNotOpenWhatIsImmutable) {
  pb::SetattrRequest r;
  r.set_ino(f_);
  r.set_valid(V::FLAGS);
  r.set_flags(kFlagImmutable);
  Run<rpc::Setattr>(r);
  ASSERT_EQ(err(), 0);
  Unseen();
  EXPECT_EQ(MayAccess(f_, 2), EPERM);
  EXPECT_EQ(Chmod(f_, 0640), EPERM);
}

TEST_F(RightsTest, FsetidKeepsIdsThroughATruncation) {
  auto privileged = [&] {
    As(0, 0);
    more_of_caller_ = nullptr;
    EXPECT_EQ(Chmod(f_, 06777), 0);
  };
  auto truncate = [&] {
    pb::SetattrRequest r;
    r.set_ino(f_);
    r.set_valid(V::SIZE);
    r.set_size(3);
    Run<rpc::Setattr>(r);
    return err();
  };
  privileged();
  Stranger({CAP_FSETID});
  EXPECT_EQ(truncate(), 0);
  EXPECT_EQ(Stat(f_).mode() & 07777, 06777u);
  Stranger({});
  EXPECT_EQ(truncate(), 0);
  EXPECT_EQ(Stat(f_).mode() & 07777, 0777u);
  privileged();
  As(65534, 65534);
  groups_known_ = false;
  EXPECT_EQ(truncate(), EACCES);
  EXPECT_EQ(last_.code(), Code::kNeedGroups);
  EXPECT_EQ(Stat(f_).mode() & 07777, 06777u) << "nothing is done yet";
}

TEST_F(RightsTest, AbsurdRangesAreRefused) {
  Stranger({CAP_DAC_OVERRIDE}, std::vector<uint32_t>(1000, 0), {});
  EXPECT_EQ(MayAccess(f_, 4), EINVAL);
}

// ---- access times
TEST_F(RightsTest, TheMountsRuleOfAccessTimesCounts) {
  pb::SymlinkRequest s;
  s.set_parent(1);
  s.set_name("l");
  s.set_target("t");
  const uint64_t link = Run<rpc::Symlink>(s).attr().ino();
  auto read = [&](pb::Context::AtimeRule rule) {
    more_of_caller_ = [rule](pb::Context& ctx) { ctx.set_atime(rule); };
    clock_.Advance(std::chrono::seconds(1));
    pb::ReadlinkRequest r;
    r.set_ino(link);
    Run<rpc::Readlink>(r);
    EXPECT_EQ(err(), 0);
    return Stat(link).atime();
  };
  const int64_t born = Stat(link).atime();
  EXPECT_EQ(read(pb::Context::NEVER), born);
  const int64_t first = read(pb::Context::RELATIVE);
  EXPECT_GT(first, born);
  EXPECT_EQ(read(pb::Context::RELATIVE), first);
  EXPECT_GT(read(pb::Context::ALWAYS), first);
}

// ---- "." by number: file handles
TEST_F(RightsTest, AFileIsFoundByItsNumberAlone) {
  pb::LookupRequest r;
  r.set_parent(f_);
  r.set_name(".");
  Stranger({});
  EXPECT_EQ(Run<rpc::Lookup>(r).attr().ino(), f_);
  EXPECT_EQ(err(), 0);
  r.set_name("..");
  Run<rpc::Lookup>(r);
  EXPECT_EQ(err(), ENOTDIR);
  As(0, 0);
  more_of_caller_ = nullptr;
  EXPECT_EQ(Unlink(1, "f"), 0);
  r.set_name(".");
  Run<rpc::Lookup>(r);
  EXPECT_EQ(err(), ESTALE) << "removed and not open, though it lingers";
}

}  // namespace
}  // namespace kfs::meta

#include "metaserver/acl/acl.h"
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

using SetattrTest = MetaTest;
using PermissionTest = MetaTest;
using XattrTest = MetaTest;
using V = pb::SetattrRequest;

TEST_F(SetattrTest, ModeIsTheOwners) {
  uint64_t f = Mknod(1, "f");
  EXPECT_EQ(Chown(f, 1000, 1000), 0);
  As(1001, 1001);
  EXPECT_EQ(Chmod(f, 0600), EPERM);
  As(1000, 1000);
  EXPECT_EQ(Chmod(f, 0600), 0);
  EXPECT_EQ(Stat(f).mode(), uint32_t{S_IFREG} | 0600);
}

TEST_F(SetattrTest, OwnerChangesAreRoots) {
  uint64_t f = Mknod(1, "f");
  Chown(f, 1000, 1000);
  As(1000, 1000);
  EXPECT_EQ(Chown(f, 1001, 1000), EPERM);
  EXPECT_EQ(Chown(f, 1000, 1000), 0);
  groups_ = {50};
  EXPECT_EQ(Chown(f, 1000, 50), 0);
  EXPECT_EQ(Chown(f, 1000, 51), EPERM);
}

TEST_F(SetattrTest, SupplementaryGroupsAreAskedForOnlyWhenTheyMatter) {
  uint64_t f = Mknod(1, "f");
  Chown(f, 1000, 1000);
  As(1000, 1000);
  groups_known_ = false;
  EXPECT_EQ(Chmod(f, 0640), 0);
  EXPECT_EQ(Chown(f, 1000, 50), EACCES);
  EXPECT_EQ(last_.code(), Code::kNeedGroups);
}

TEST_F(SetattrTest, ChownClearsPrivileges) {
  uint64_t f = Mknod(1, "f", S_IFREG | 0755);
  Chmod(f, 06755);
  Chown(f, 1000, 1000);
  EXPECT_EQ(Stat(f).mode() & 07777, 0755u);
  Chmod(f, 06745);  // setgid without group execution is not a privilege
  Chown(f, 1000, 1000);
  EXPECT_EQ(Stat(f).mode() & 07777, 02745u);
}

TEST_F(SetattrTest, SetgidGoesWhenTheOwnerIsNotAMember) {
  uint64_t f = Mknod(1, "f", S_IFREG | 0755);
  Chown(f, 1000, 77);
  As(1000, 1000);
  EXPECT_EQ(Chmod(f, 02755), 0);
  EXPECT_EQ(Stat(f).mode() & 07777, 0755u);
  groups_ = {77};
  EXPECT_EQ(Chmod(f, 02755), 0);
  EXPECT_EQ(Stat(f).mode() & 07777, 02755u);
}

TEST_F(SetattrTest, Times) {
  uint64_t f = Mknod(1, "f", S_IFREG | 0666);
  Chmod(f, 0666);
  clock_.Advance(std::chrono::seconds(3));
  V r = SetattrOf(f, V::ATIME | V::MTIME);
  r.set_atime(-5);
  r.set_mtime(123456789);
  pb::Attr a = Run<rpc::Setattr>(r).attr();
  EXPECT_EQ(a.atime(), -5);
  EXPECT_EQ(a.mtime(), 123456789);
  EXPECT_EQ(a.ctime(), clock_.wall);
  As(1000, 1000);
  Run<rpc::Setattr>(r);
  EXPECT_EQ(err(), EPERM);
  V now = SetattrOf(f, V::ATIME | V::MTIME | V::ATIME_NOW | V::MTIME_NOW);
  EXPECT_EQ(Run<rpc::Setattr>(now).attr().mtime(), clock_.wall);
  EXPECT_EQ(err(), 0);
  As(0, 0);
  Chmod(f, 0644);
  As(1000, 1000);
  Run<rpc::Setattr>(now);
  EXPECT_EQ(err(), EACCES);
  V one = SetattrOf(f, V::MTIME | V::MTIME_NOW);
  Run<rpc::Setattr>(one);
  EXPECT_EQ(err(), EPERM);
}

TEST_F(SetattrTest, TimesBeyond2262) {
  uint64_t f = Mknod(1, "f", S_IFREG | 0666);
  V r = SetattrOf(f, V::ATIME | V::MTIME);
  r.set_atime(INT64_MAX);
  r.set_atime_beyond(77);
  r.set_mtime(5);
  r.set_mtime_beyond(77);  // means nothing beside a time within 64 bits
  Run<rpc::Setattr>(r);
  EXPECT_EQ(Stat(f).atime(), INT64_MAX);
  EXPECT_EQ(Stat(f).atime_beyond(), 77u);
  EXPECT_EQ(Stat(f).mtime(), 5);
  EXPECT_EQ(Stat(f).mtime_beyond(), 0u);
  r = SetattrOf(f, V::MTIME);
  r.set_mtime(INT64_MAX);
  r.set_mtime_beyond(5);
  Run<rpc::Setattr>(r);
  Restart();
  s_ = Attach(s_);
  EXPECT_TRUE(ReclaimNothing(s_).ok());
  EXPECT_EQ(Stat(f).mtime_beyond(), 5u);
  Write(f, 0, 10);
  EXPECT_EQ(Stat(f).mtime(), clock_.wall);
  EXPECT_EQ(Stat(f).mtime_beyond(), 0u);
  V now = SetattrOf(f, V::ATIME | V::MTIME | V::ATIME_NOW | V::MTIME_NOW);
  Run<rpc::Setattr>(now);
  EXPECT_EQ(Stat(f).atime_beyond(), 0u);
}

TEST_F(SetattrTest, CtimeNeverGoesBack) {
  uint64_t f = Mknod(1, "f");
  int64_t before = Stat(f).ctime();
  clock_.wall -= 1000000000ll * 3600;
  Chmod(f, 0600);
  EXPECT_GE(Stat(f).ctime(), before);
}

TEST_F(SetattrTest, SizeErrors) {
  uint64_t d = Mkdir(1, "d"), fifo = Mknod(1, "p", S_IFIFO | 0666), f = Mknod(1, "f");
  EXPECT_EQ(Truncate(d, 0), EISDIR);
  EXPECT_EQ(Truncate(fifo, 0), EINVAL);
  EXPECT_EQ(Truncate(f, UINT64_MAX), EFBIG);
  EXPECT_EQ(Truncate(f, 5), 0);
  EXPECT_EQ(Stat(f).size(), 5u);
  As(1000, 1000);
  EXPECT_EQ(Truncate(f, 4), EACCES);
  V through_fd = SetattrOf(f, V::SIZE | V::OPEN_FILE);
  through_fd.set_size(4);
  Run<rpc::Setattr>(through_fd);
  EXPECT_EQ(err(), EACCES);  // it is not open
  As(0, 0);
  EXPECT_EQ(Open(f, O_RDWR), 0);
  As(1000, 1000);
  Run<rpc::Setattr>(through_fd);
  EXPECT_EQ(err(), 0);
}

TEST_F(PermissionTest, DirectoriesNeedSearchAndWrite) {
  uint64_t d = Mkdir(1, "d", 0700);
  Mknod(d, "f");
  As(1000, 1000);
  Lookup(d, "f");
  EXPECT_EQ(err(), EACCES);
  Mknod(d, "g");
  EXPECT_EQ(err(), EACCES);
  Mknod(1, "g");
  EXPECT_EQ(err(), EACCES);
  EXPECT_EQ(Unlink(1, "d"), EACCES);
  Readdir(d);
  EXPECT_EQ(err(), EACCES);
}

TEST_F(PermissionTest, OpenChecksItsMode) {
  uint64_t f = Mknod(1, "f", S_IFREG | 0640);
  Chown(f, 1000, 100);
  As(1001, 100);
  EXPECT_EQ(Open(f, O_RDONLY), 0);
  EXPECT_EQ(Open(f, O_WRONLY), EACCES);
  EXPECT_EQ(Open(f, O_RDWR), EACCES);
  EXPECT_EQ(Open(f, O_RDONLY | O_TRUNC), EACCES);
  EXPECT_EQ(Open(f, O_RDONLY | O_NOATIME), EPERM);
  EXPECT_EQ(Open(f, 040), EACCES);  // execve
  As(1002, 1002);
  EXPECT_EQ(Open(f, O_RDONLY), EACCES);
  As(0, 0);
  EXPECT_EQ(Open(1, O_RDWR), EISDIR);
  EXPECT_EQ(Open(f, O_DIRECTORY), ENOTDIR);
  Symlink(1, "l", "x");
  EXPECT_EQ(Open(Lookup(1, "l")), ELOOP);
}

TEST_F(PermissionTest, CreatorMayWriteWhateverTheMode) {
  uint64_t d = Mkdir(1, "d", 0777);
  Chmod(d, 0777);
  As(1000, 1000);
  pb::CreateReply r = Create(d, "f", O_RDWR | O_EXCL, 0000);
  EXPECT_EQ(err(), 0);
  EXPECT_TRUE(r.created());
  EXPECT_EQ(r.attr().mode() & 07777, 0u);
  Create(d, "f", O_RDWR, 0666);
  EXPECT_EQ(err(), EACCES);
  Create(d, "f", O_RDWR | O_EXCL, 0666);
  EXPECT_EQ(err(), EEXIST);
}

TEST_F(PermissionTest, UmaskAndSetgidDirectories) {
  umask_ = 027;
  EXPECT_EQ(Create(1, "f", O_RDWR, 0666).attr().mode() & 07777, 0640u);
  uint64_t d = Mkdir(1, "d", 0777);
  Chown(d, 0, 500);
  Chmod(d, 02777);
  As(1000, 1000);
  pb::Attr f = Create(d, "f", O_RDWR, 0666).attr();
  EXPECT_EQ(f.gid(), 500u);
  EXPECT_EQ(f.uid(), 1000u);
  uint64_t sub = Mkdir(d, "sub", 0777);
  EXPECT_EQ(Stat(sub).mode() & 07777, 02750u);
  EXPECT_EQ(Stat(sub).gid(), 500u);
}

TEST_F(PermissionTest, AccessOp) {
  uint64_t f = Mknod(1, "f", S_IFREG | 0640);
  pb::AccessRequest r;
  r.set_ino(f);
  r.set_mask(4);
  As(1000, 1000);
  Run<rpc::Access>(r);
  EXPECT_EQ(err(), EACCES);
  As(0, 0);
  Run<rpc::Access>(r);
  EXPECT_EQ(err(), 0);
  r.set_mask(1);
  Run<rpc::Access>(r);
  EXPECT_EQ(err(), EACCES);
  r.set_mask(64);
  Run<rpc::Access>(r);
  EXPECT_EQ(err(), EINVAL);
}

TEST_F(XattrTest, SetGetListRemove) {
  uint64_t f = Mknod(1, "f");
  EXPECT_EQ(Setxattr(f, "user.a", "1"), 0);
  EXPECT_EQ(Setxattr(f, "user.a", "2", 1), EEXIST);
  EXPECT_EQ(Setxattr(f, "user.b", "2", 2), ENODATA);
  EXPECT_EQ(Setxattr(f, "user.a", std::string("\0x", 2), 2), 0);
  EXPECT_EQ(Getxattr(f, "user.a"), std::string("\0x", 2));
  Setxattr(f, "trusted.t", "t");
  pb::ListxattrRequest list;
  list.set_ino(f);
  EXPECT_EQ(Run<rpc::Listxattr>(list).name_size(), 2);
  As(1000, 1000);
  EXPECT_EQ(Run<rpc::Listxattr>(list).name_size(), 1);
  As(0, 0);
  pb::RemovexattrRequest remove;
  remove.set_ino(f);
  remove.set_name("user.a");
  Run<rpc::Removexattr>(remove);
  EXPECT_EQ(err(), 0);
  Run<rpc::Removexattr>(remove);
  EXPECT_EQ(err(), ENODATA);
  Getxattr(f, "user.a");
  EXPECT_EQ(err(), ENODATA);
}

TEST_F(XattrTest, NamespacesAndLimits) {
  uint64_t f = Mknod(1, "f", S_IFREG | 0666);
  Chmod(f, 0666);
  uint64_t fifo = Mknod(1, "p", S_IFIFO | 0666);
  EXPECT_EQ(Setxattr(fifo, "user.a", "1"), EPERM);
  EXPECT_EQ(Setxattr(f, "bogus.a", "1"), EOPNOTSUPP);
  EXPECT_EQ(Setxattr(f, "system.other", "1"), EOPNOTSUPP);
  EXPECT_EQ(Setxattr(f, "user.", "1"), EINVAL);
  EXPECT_EQ(Setxattr(f, "user." + std::string(251, 'x'), "1"), ERANGE);
  EXPECT_EQ(Setxattr(f, "user.a", std::string(65537, 'x')), E2BIG);
  EXPECT_EQ(Setxattr(f, "user.a", std::string(65536, 'x')), 0);
  for (int i = 0; i < 256; ++i) Setxattr(f, "user." + std::to_string(1000 + i) + std::string(246, 'y'), "");
  EXPECT_EQ(err(), ENOSPC);
  As(1000, 1000);
  EXPECT_EQ(Setxattr(f, "trusted.a", "1"), EPERM);
  EXPECT_EQ(Setxattr(f, "security.x", "1"), EPERM);
  Getxattr(f, "trusted.a");
  EXPECT_EQ(err(), ENODATA);
}

TEST_F(XattrTest, AclsGrantAndShowInTheMode) {
  uint64_t f = Mknod(1, "f", S_IFREG | 0600);
  Acl acl = {{kAclUserObj, 6, kAclNoId},
             {kAclUser, 4, 1000},
             {kAclGroupObj, 0, kAclNoId},
             {kAclMask, 4, kAclNoId},
             {kAclOther, 0, kAclNoId}};
  EXPECT_EQ(Setxattr(f, "system.posix_acl_access", FormatAclXattr(acl)), 0);
  EXPECT_EQ(Stat(f).mode() & 0777, 0640u);
  As(1000, 1000);
  EXPECT_EQ(Open(f, O_RDONLY), 0);
  EXPECT_EQ(Open(f, O_WRONLY), EACCES);
  EXPECT_EQ(Setxattr(f, "system.posix_acl_access", FormatAclXattr(acl)), EPERM);
  As(0, 0);
  EXPECT_EQ(Chmod(f, 0600), 0);  // the mask goes
  As(1000, 1000);
  EXPECT_EQ(Open(f, O_RDONLY), EACCES);
  As(0, 0);
  EXPECT_EQ(Setxattr(f, "system.posix_acl_access", "xx"), EINVAL);
  EXPECT_EQ(Setxattr(f, "system.posix_acl_default", FormatAclXattr(acl)), EACCES);
}

TEST_F(XattrTest, DefaultAclsAreInherited) {
  uint64_t d = Mkdir(1, "d");
  Acl acl = {{kAclUserObj, 7, kAclNoId},
             {kAclUser, 7, 1000},
             {kAclGroupObj, 5, kAclNoId},
             {kAclMask, 7, kAclNoId},
             {kAclOther, 0, kAclNoId}};
  EXPECT_EQ(Setxattr(d, "system.posix_acl_default", FormatAclXattr(acl)), 0);
  umask_ = 077;  // does not apply
  uint64_t f = Mknod(d, "f", S_IFREG | 0666);
  EXPECT_EQ(Stat(f).mode() & 0777, 0660u);
  EXPECT_FALSE(Getxattr(f, "system.posix_acl_access").empty());
  uint64_t sub = Mkdir(d, "sub", 0777);
  EXPECT_EQ(Getxattr(sub, "system.posix_acl_default"), FormatAclXattr(acl));
}

TEST_F(XattrTest, CapabilitiesGoWithAWrite) {
  uint64_t f = Mknod(1, "f", S_IFREG | 0755);
  Setxattr(f, "security.capability", "caps");
  Chmod(f, 04755);
  EXPECT_EQ(Write(f, 0, 10), 0);
  Getxattr(f, "security.capability");
  EXPECT_EQ(err(), ENODATA);
  EXPECT_EQ(Stat(f).mode() & 07777, 0755u);
}

TEST_F(SetattrTest, RelatimeUpdates) {
  uint64_t f = Mknod(1, "f");
  clock_.Advance(std::chrono::seconds(10));
  Write(f, 0, 10);
  clock_.Advance(std::chrono::seconds(10));
  pb::ReadLayoutRequest r;
  r.set_ino(f);
  r.set_length(10);
  r.set_atime(true);
  Run<rpc::ReadLayout>(r);
  EXPECT_EQ(Stat(f).atime(), clock_.wall);
  int64_t first = clock_.wall;
  clock_.Advance(std::chrono::seconds(10));
  Run<rpc::ReadLayout>(r);
  EXPECT_EQ(Stat(f).atime(), first);
  clock_.Advance(std::chrono::hours(25));
  Run<rpc::ReadLayout>(r);
  EXPECT_EQ(Stat(f).atime(), clock_.wall);
}

}  // namespace
}  // namespace kfs::meta

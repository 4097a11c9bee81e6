// chmod(2), chown(2) and their relatives: who may change what.
#include "posix_env.h"

namespace kfs::posix_test {
namespace {

const User kOwner{2001, 3001, {3002}};

class ChmodChownTest : public PosixTest {
 protected:
  static void OwnedFile(mode_t mode = 0644) {
    WriteFile("f", "x");
    CHECK_OK(chown("f", kOwner.uid, kOwner.gid));
    CHECK_OK(chmod("f", mode));
  }
};

TEST_F(ChmodChownTest, AllTwelveBitsAreKept) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  for (mode_t mode : {0000u, 0777u, 0644u, 01755u, 02755u, 04755u, 07777u, 06000u, 0123u}) {
    CHECK_OK(chmod("f", mode));
    CHECK_EQ(Mode("f"), mode);
    CHECK_OK(chmod("d", mode));
    CHECK_EQ(Mode("d"), mode);
  }
  CHECK_OK(chmod("f", 0600));
  Fd fd = OpenOk("f", O_RDONLY);
  CHECK_OK(fchmod(fd, 0711));
  CHECK_EQ(Fstat(fd).st_mode & 07777, 0711);
  CHECK_OK(fchmodat(AT_FDCWD, "f", 0722, 0));
  CHECK_EQ(Mode("f"), 0722);
  CHECK_OK(chmod("d", 0755));
}

TEST_F(ChmodChownTest, ChmodRefusals) {
  WriteFile("f", "x");
  CHECK_ERRNO(chmod("missing", 0644), ENOENT);
  CHECK_ERRNO(chmod("f/x", 0644), ENOTDIR);
  CHECK_ERRNO(chmod("", 0644), ENOENT);
  CHECK_ERRNO(fchmod(-1, 0644), EBADF);
  CHECK_OK(symlink("f", "s"));
  CHECK_OK(chmod("s", 0611));
  CHECK_EQ(Mode("f"), 0611);
  CHECK_EQ(Mode("s"), 0777);
  CHECK_ERRNO(fchmodat(AT_FDCWD, "s", 0600, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
}

TEST_F(ChmodChownTest, OnlyOwnerAndRootMayChmod) {
  NEEDS_ROOT();
  OwnedFile(0666);
  CHECK_ERRNO_AS(kNobody, chmod("f", 0644), EPERM);
  CHECK_OK_AS(kOwner, chmod("f", 0600));
  CHECK_OK(chmod("f", 0640));
  CHECK_EQ(Mode("f"), 0640);
  Fd fd = OpenOk("f", O_RDWR);
  CHECK_ERRNO_AS(kNobody, fchmod(fd, 0666), EPERM);
}

TEST_F(ChmodChownTest, ChmodByANonMemberDropsSetgid) {
  NEEDS_ROOT();
  WriteFile("f", "x");
  CHECK_OK(chown("f", kOwner.uid, 4242));
  CHECK_OK_AS(kOwner, chmod("f", 02755));
  CHECK_EQ(Mode("f"), 0755);
  CHECK_OK(chown("f", kOwner.uid, 3002));
  CHECK_OK_AS(kOwner, chmod("f", 02755));  // a supplementary group
  CHECK_EQ(Mode("f"), 02755);
  CHECK_OK_AS(kOwner, chmod("f", 04711));
  CHECK_EQ(Mode("f"), 04711);
}

TEST_F(ChmodChownTest, RootChangesOwnerAndGroup) {
  NEEDS_ROOT();
  WriteFile("f", "x");
  CHECK_OK(chown("f", 11, 22));
  CHECK_EQ(Stat("f").st_uid, 11);
  CHECK_EQ(Stat("f").st_gid, 22);
  CHECK_OK(chown("f", static_cast<uid_t>(-1), 33));
  CHECK_EQ(Stat("f").st_uid, 11);
  CHECK_EQ(Stat("f").st_gid, 33);
  CHECK_OK(chown("f", 44, static_cast<gid_t>(-1)));
  CHECK_EQ(Stat("f").st_uid, 44);
  CHECK_EQ(Stat("f").st_gid, 33);
  CHECK_OK(chown("f", 4000000000u, 4000000001u));  // ids have 32 bits
  CHECK_EQ(Stat("f").st_uid, 4000000000u);
  CHECK_EQ(Stat("f").st_gid, 4000000001u);
  Fd fd = OpenOk("f", O_RDONLY);
  CHECK_OK(fchown(fd, 1, 2));
  CHECK_EQ(Stat("f").st_uid, 1);
  CHECK_OK(mkfifo("p", 0644));
  CHECK_OK(chown("p", 5, 6));
  CHECK_EQ(Stat("p").st_uid, 5);
  CHECK_ERRNO(chown("missing", 0, 0), ENOENT);
  CHECK_ERRNO(chown("f/x", 0, 0), ENOTDIR);
  CHECK_ERRNO(fchown(-1, 0, 0), EBADF);
}

TEST_F(ChmodChownTest, OwnerMayGiveToOwnGroupsOnly) {
  NEEDS_ROOT();
  OwnedFile();
  CHECK_OK_AS(kOwner, chown("f", static_cast<uid_t>(-1), 3002));
  CHECK_EQ(Stat("f").st_gid, 3002);
  CHECK_OK_AS(kOwner, chown("f", kOwner.uid, 3001));
  CHECK_ERRNO_AS(kOwner, chown("f", static_cast<uid_t>(-1), 4242), EPERM);
  CHECK_ERRNO_AS(kOwner, chown("f", kNobody.uid, static_cast<gid_t>(-1)), EPERM);
  CHECK_ERRNO_AS(kNobody, chown("f", kNobody.uid, kNobody.gid), EPERM);
  CHECK_ERRNO_AS(kNobody, chown("f", static_cast<uid_t>(-1), kNobody.gid), EPERM);
  CHECK_OK_AS(kNobody, chown("f", static_cast<uid_t>(-1), static_cast<gid_t>(-1)));  // no change asked
  CHECK_EQ(Stat("f").st_uid, kOwner.uid);
  CHECK_EQ(Stat("f").st_gid, 3001);
}

TEST_F(ChmodChownTest, NewFilesBelongToTheirCreator) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("d", 0777));
  CHECK_OK(chmod("d", 0777));
  AsUser(kOwner, [] {
    WriteFile("d/f", "x");
    CHECK_OK(mkdir("d/dir", 0755));
    CHECK_OK(mkfifo("d/p", 0644));
    CHECK_OK(symlink("x", "d/s"));
  });
  for (const char* name : {"d/f", "d/dir", "d/p", "d/s"}) {
    CHECK_EQ(Lstat(name).st_uid, kOwner.uid);
    CHECK_EQ(Lstat(name).st_gid, kOwner.gid);
  }
}

TEST_F(ChmodChownTest, SetgidDirectoryGivesItsGroup) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("d", 0777));
  CHECK_OK(chown("d", 0, 4242));
  CHECK_OK(chmod("d", 02777));
  AsUser(kOwner, [] {
    WriteFile("d/f", "x");
    CHECK_OK(mkdir("d/dir", 0755));
    CHECK_OK(mkdir("d/dir/deeper", 0755));
    CHECK_OK(mkfifo("d/p", 0644));
    CHECK_OK(symlink("x", "d/s"));
  });
  for (const char* name : {"d/f", "d/dir", "d/dir/deeper", "d/p", "d/s"}) {
    CHECK_EQ(Lstat(name).st_uid, kOwner.uid);
    CHECK_EQ(Lstat(name).st_gid, 4242);
  }
  CHECK_EQ(Mode("d/dir"), 02755);
  CHECK_EQ(Mode("d/dir/deeper"), 02755);
  CHECK_EQ(Mode("d/f"), 0644);
}

TEST_F(ChmodChownTest, SetgidProgramIsNotMadeInAGroupOfOthers) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("d", 0777));
  CHECK_OK(chown("d", 0, 4242));
  CHECK_OK(chmod("d", 02777));
  CHECK_OK_AS(kOwner, open("d/f", O_WRONLY | O_CREAT, 02755));
  CHECK_EQ(Stat("d/f").st_gid, 4242);
  CHECK_EQ(Mode("d/f"), 0755);  // not a member of 4242: no setgid with group execute
  const User member{2001, 3001, {4242}};
  CHECK_OK_AS(member, open("d/g", O_WRONLY | O_CREAT, 02755));
  CHECK_EQ(Mode("d/g"), 02755);
}

}  // namespace
}  // namespace kfs::posix_test

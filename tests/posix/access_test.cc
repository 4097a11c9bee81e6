// Permission bits in force: access(2), faccessat2(2), and what owner, group, others and root may do.
#include "posix_env.h"

namespace kfs::posix_test {
namespace {

const User kOwner{2001, 3001, {}};
const User kMember{2002, 3001, {}};
const User kExtra{2003, 3003, {3009, 3001, 3010}};
const User kOther{2004, 3004, {3009}};

class AccessTest : public PosixTest {
 protected:
  // The octal digit of what the user may do, by access(2); opening must agree.
  static int Allowed(const User& user, const char* path) {
    return AsUser(user, [&] {
      int bits = 0;
      if (access(path, R_OK) == 0) bits |= 4;
      if (access(path, W_OK) == 0) bits |= 2;
      if (access(path, X_OK) == 0) bits |= 1;
      CHECK_EQ(open(path, O_RDONLY) >= 0, (bits & 4) != 0);
      CHECK_EQ(open(path, O_WRONLY) >= 0, (bits & 2) != 0);
      CHECK_EQ(open(path, O_RDWR) >= 0, (bits & 6) == 6);
      return bits;
    });
  }
};

TEST_F(AccessTest, EachClassGetsItsOwnBits) {
  NEEDS_ROOT();
  WriteFile("f", "x");
  CHECK_OK(chown("f", kOwner.uid, kOwner.gid));
  for (mode_t mode : {0000u, 0400u, 0200u, 0100u, 0040u, 0020u, 0010u, 0004u, 0002u, 0001u, 0640u, 0066u,
                      0606u, 0421u, 0124u, 0777u}) {
    CHECK_OK(chmod("f", mode));
    CHECK_EQ(Allowed(kOwner, "f"), mode >> 6 & 7);
    CHECK_EQ(Allowed(kMember, "f"), mode >> 3 & 7);
    CHECK_EQ(Allowed(kExtra, "f"), mode >> 3 & 7);  // by a supplementary group
    CHECK_EQ(Allowed(kOther, "f"), mode & 7);
  }
}

TEST_F(AccessTest, RootReadsAndWritesButExecutesOnlyWithAnExecuteBit) {
  NEEDS_ROOT();
  WriteFile("f", "x", 0000);
  CHECK_OK(access("f", R_OK | W_OK));
  CHECK_ERRNO(access("f", X_OK), EACCES);
  CHECK_OK(chmod("f", 0001));
  CHECK_OK(access("f", X_OK));
  CHECK_OK(mkdir("d", 0000));
  CHECK_OK(access("d", R_OK | W_OK | X_OK));
  WriteFile("d/f", "x");
}

TEST_F(AccessTest, AccessUsesTheRealUserAndEaccessTheEffective) {
  NEEDS_ROOT();
  WriteFile("f", "x", 0600);
  Child child([] {
    CHECK_OK(setresuid(kOther.uid, 0, 0));
    CHECK_ERRNO(access("f", R_OK), EACCES);
    CHECK_OK(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
    CHECK_OK(open("f", O_RDONLY));
    return 0;
  });
  CHECK_EQ(child.Wait(), 0);
  Child reverse([] {
    CHECK_OK(setresuid(0, kOther.uid, 0));
    CHECK_OK(access("f", R_OK));
    CHECK_ERRNO(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS), EACCES);
    CHECK_ERRNO(open("f", O_RDONLY), EACCES);
    return 0;
  });
  CHECK_EQ(reverse.Wait(), 0);
}

TEST_F(AccessTest, Refusals) {
  WriteFile("f", "x");
  CHECK_OK(symlink("nowhere", "s"));
  CHECK_OK(access("f", F_OK));
  CHECK_ERRNO(access("missing", F_OK), ENOENT);
  CHECK_ERRNO(access("f/x", F_OK), ENOTDIR);
  CHECK_ERRNO(access("f/", F_OK), ENOTDIR);
  CHECK_ERRNO(access("f", 8), EINVAL);
  CHECK_ERRNO(access("s", F_OK), ENOENT);
  CHECK_OK(faccessat(AT_FDCWD, "s", F_OK, AT_SYMLINK_NOFOLLOW));
  CHECK_ERRNO(faccessat(AT_FDCWD, "f", F_OK, 0x1), EINVAL);
}

TEST_F(AccessTest, EveryDirectoryOfThePathNeedsSearchPermission) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("a", 0755));
  CHECK_OK(mkdir("a/b", 0755));
  CHECK_OK(mkdir("a/b/c", 0755));
  WriteFile("a/b/c/f", "x");
  CHECK_OK_AS(kOther, open("a/b/c/f", O_RDONLY));
  for (const char* closed : {"a", "a/b", "a/b/c"}) {
    CHECK_OK(chmod(closed, 0744));
    CHECK_ERRNO_AS(kOther, open("a/b/c/f", O_RDONLY), EACCES);
    CHECK_ERRNO_AS(kOther, access("a/b/c/f", F_OK), EACCES);
    CHECK_ERRNO_AS(kOther, access("a/b/c/missing", F_OK), EACCES);
    CHECK_OK(chmod(closed, 0755));
  }
  CHECK_OK_AS(kOther, open("a/b/c/f", O_RDONLY));
}

TEST_F(AccessTest, PermissionIsCheckedAtOpenAndNotLater) {
  NEEDS_ROOT();
  WriteFile("f", "content");
  CHECK_OK(chown("f", kOwner.uid, kOwner.gid));
  AsUser(kOwner, [] {
    Fd fd = OpenOk("f", O_RDWR);
    CHECK_OK(chmod("f", 0));
    CHECK_EQ(PreadAll(fd, 7, 0), "content");
    CHECK_EQ(pwrite(fd, "C", 1, 0), 1);
    CHECK_ERRNO(open("f", O_RDONLY), EACCES);
  });
  CHECK_EQ(ReadFile("f"), "Content");
}

TEST_F(AccessTest, ChangedModeCountsAtOnceForOtherUsers) {
  NEEDS_ROOT();
  WriteFile("f", "x");
  for (int i = 0; i < 5; ++i) {
    CHECK_OK(chmod("f", 0600));
    CHECK_ERRNO_AS(kOther, open("f", O_RDONLY), EACCES);
    CHECK_OK(chmod("f", 0604));
    CHECK_OK_AS(kOther, open("f", O_RDONLY));
  }
}

TEST_F(AccessTest, ManySupplementaryGroupsCount) {
  NEEDS_ROOT();
  WriteFile("f", "x", 0640);
  CHECK_OK(chown("f", 0, 5099));
  User member{2005, 3005, {}};
  for (gid_t gid = 5000; gid < 5100; ++gid) member.groups.push_back(gid);
  CHECK_OK_AS(member, open("f", O_RDONLY));
  member.groups.pop_back();
  CHECK_ERRNO_AS(member, open("f", O_RDONLY), EACCES);
}

TEST_F(AccessTest, NamesThatAreNotThereAreVisibleOnlyWithSearchPermission) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("d", 0711));
  CHECK_ERRNO_AS(kOther, open("d/missing", O_RDONLY), ENOENT);
  CHECK_ERRNO_AS(kOther, mkdir("d/new", 0755), EACCES);
  CHECK_ERRNO_AS(kOther, unlink("d/missing"), ENOENT, EACCES);
  CHECK_OK(chmod("d", 0700));
  CHECK_ERRNO_AS(kOther, open("d/missing", O_RDONLY), EACCES);
}

}  // namespace
}  // namespace kfs::posix_test

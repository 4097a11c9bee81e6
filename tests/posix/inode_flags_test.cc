// chattr(1) and lsattr(1): immutable and append-only inodes, for everybody and for root.
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

int GetFlags(const char* path, unsigned* flags) {
  Fd fd(open(path, O_RDONLY | O_NONBLOCK));
  if (fd < 0) return errno;
  *flags = 0;
  return Errno(ioctl(fd, FS_IOC_GETFLAGS, flags));
}

// Sets and clears of what is there; other flags stay.
int Change(const char* path, unsigned set, unsigned clear) {
  unsigned flags = 0;
  if (int error = GetFlags(path, &flags); error != 0) return error;
  Fd fd(open(path, O_RDONLY | O_NONBLOCK));
  flags = (flags | set) & ~clear;
  return Errno(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

class InodeFlagsTest : public PosixTest {
 protected:
  void SetUp() override {
    PosixTest::SetUp();
    if (geteuid() != 0) GTEST_SKIP() << "needs to be root";
    WriteFile("probe", "");
    unsigned flags = 0;
    if (int error = GetFlags("probe", &flags); error != 0)
      GTEST_SKIP() << "this file system has no such flags: " << ErrnoName(error);
    CHECK_OK(unlink("probe"));
    CHECK_OK(chmod(".", 0777));
  }
  // The directory must be removable, however the test ends.
  void TearDown() override {
    for (const char* path : {"f", "d", "d/f", "d/sub"}) {
      if (Exists(path)) Change(path, 0, FS_IMMUTABLE_FL | FS_APPEND_FL);
    }
  }
  static unsigned Flags(const char* path) {
    unsigned flags = 0;
    CHECK_EQ(GetFlags(path, &flags), 0);
    return flags & (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL);
  }
};

TEST_F(InodeFlagsTest, AreKeptAndShown) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  for (const char* path : {"f", "d"}) {
    CHECK_EQ(Flags(path), 0);
    CHECK_EQ(Change(path, FS_NODUMP_FL | FS_NOATIME_FL, 0), 0);
    CHECK_EQ(Flags(path), FS_NODUMP_FL | FS_NOATIME_FL);
    CHECK_EQ(Change(path, FS_IMMUTABLE_FL, FS_NODUMP_FL), 0);
    CHECK_EQ(Flags(path), FS_IMMUTABLE_FL | FS_NOATIME_FL);
    CHECK_EQ(Change(path, FS_APPEND_FL, FS_IMMUTABLE_FL), 0);
    CHECK_EQ(Flags(path), FS_APPEND_FL | FS_NOATIME_FL);
    CHECK_EQ(Change(path, 0, FS_APPEND_FL | FS_NOATIME_FL), 0);
    CHECK_EQ(Flags(path), 0);
  }
}

TEST_F(InodeFlagsTest, TheYoungerIoctlIsTheSame) {
  WriteFile("f", "x");
  Fd fd = OpenOk("f", O_RDONLY);
  fsxattr x = {};
  CHECK_OK(ioctl(fd, FS_IOC_FSGETXATTR, &x));
  CHECK_EQ(x.fsx_xflags & (FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND), 0);
  x.fsx_xflags |= FS_XFLAG_APPEND;
  CHECK_OK(ioctl(fd, FS_IOC_FSSETXATTR, &x));
  CHECK_EQ(Flags("f"), FS_APPEND_FL);
  CHECK_OK(ioctl(fd, FS_IOC_FSGETXATTR, &x));
  CHECK_NE(x.fsx_xflags & FS_XFLAG_APPEND, 0);
  x.fsx_xflags &= ~static_cast<unsigned>(FS_XFLAG_APPEND);
  CHECK_OK(ioctl(fd, FS_IOC_FSSETXATTR, &x));
  CHECK_EQ(Flags("f"), 0);
}

TEST_F(InodeFlagsTest, WhoMaySetThem) {
  WriteFile("f", "x");
  CHECK_OK(chown("f", kAlice.uid, kAlice.gid));
  CHECK_EQ(AsUser(kAlice, [] { return Change("f", FS_NODUMP_FL, 0); }), 0);
  CHECK_EQ(AsUser(kAlice, [] { return Change("f", FS_IMMUTABLE_FL, 0); }), EPERM);
  CHECK_EQ(AsUser(kAlice, [] { return Change("f", FS_APPEND_FL, 0); }), EPERM);
  CHECK_TRUE(AsUser(kBob, [] { return Change("f", 0, FS_NODUMP_FL); }) != 0);
  CHECK_EQ(Flags("f"), FS_NODUMP_FL);
  CHECK_EQ(Change("f", FS_IMMUTABLE_FL, 0), 0);
  CHECK_EQ(AsUser(kAlice, [] { return Change("f", 0, FS_IMMUTABLE_FL); }), EPERM);
  CHECK_EQ(Flags("f"), FS_IMMUTABLE_FL | FS_NODUMP_FL);
}

TEST_F(InodeFlagsTest, AnImmutableFileDoesNotChange) {
  WriteFile("f", "content");
  WriteFile("g", "other");
  CHECK_OK(chown("f", kAlice.uid, kAlice.gid));
  Fd before = OpenOk("f", O_RDWR);
  CHECK_OK(setxattr("f", "user.a", "1", 1, 0));
  CHECK_EQ(Change("f", FS_IMMUTABLE_FL, 0), 0);
  const auto all_refused = [&] {
    CHECK_ERRNO(open("f", O_WRONLY), EPERM);
    CHECK_ERRNO(open("f", O_RDWR | O_APPEND), EPERM);
    CHECK_ERRNO(open("f", O_WRONLY | O_TRUNC), EPERM);
    CHECK_ERRNO(open("f", O_WRONLY | O_CREAT, 0644), EPERM);
    CHECK_ERRNO(truncate("f", 3), EPERM);
    CHECK_ERRNO(chmod("f", 0600), EPERM);
    CHECK_ERRNO(chown("f", 1, 1), EPERM);
    CHECK_ERRNO(utimensat(AT_FDCWD, "f", nullptr, 0), EPERM);
    timespec times[2] = {{1, 1}, {2, 2}};
    CHECK_ERRNO(utimensat(AT_FDCWD, "f", times, 0), EPERM);
    CHECK_ERRNO(unlink("f"), EPERM);
    CHECK_ERRNO(rename("f", "h"), EPERM);
    CHECK_ERRNO(rename("g", "f"), EPERM);
    CHECK_ERRNO(renameat2(AT_FDCWD, "g", AT_FDCWD, "f", RENAME_EXCHANGE), EPERM);
    CHECK_ERRNO(link("f", "h"), EPERM);
    CHECK_ERRNO(setxattr("f", "user.a", "2", 1, 0), EPERM);
    CHECK_ERRNO(setxattr("f", "trusted.a", "2", 1, 0), EPERM);
    CHECK_ERRNO(removexattr("f", "user.a"), EPERM);
  };
  all_refused();
  // Through descriptors of before, too.
  CHECK_ERRNO(write(before, "X", 1), EPERM);
  CHECK_ERRNO(pwrite(before, "X", 1, 2), EPERM);
  CHECK_ERRNO(ftruncate(before, 1), EPERM);
  CHECK_ERRNO(fallocate(before, 0, 0, 100000), EPERM);
  CHECK_ERRNO(fallocate(before, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 100000), EPERM);
  CHECK_ERRNO(fchmod(before, 0600), EPERM);
  Fd other = OpenOk("g", O_RDONLY);
  CHECK_ERRNO(copy_file_range(other, nullptr, before, nullptr, 5, 0), EPERM);
  CHECK_EQ(ReadFile("f"), "content");
  CHECK_EQ(Stat("f").st_nlink, 1);
  CHECK_EQ(AsUser(kAlice, [] { return Errno(open("f", O_WRONLY)); }), EPERM);
  CHECK_EQ(Change("f", 0, FS_IMMUTABLE_FL), 0);
  CHECK_EQ(pwrite(before, "X", 1, 0), 1);
  CHECK_EQ(ReadFile("f"), "Xontent");
}

TEST_F(InodeFlagsTest, AnAppendOnlyFileOnlyGrows) {
  WriteFile("f", "log\n");
  WriteFile("g", "other");
  CHECK_EQ(Change("f", FS_APPEND_FL, 0), 0);
  CHECK_ERRNO(open("f", O_WRONLY), EPERM);
  CHECK_ERRNO(open("f", O_RDWR), EPERM);
  CHECK_ERRNO(open("f", O_WRONLY | O_APPEND | O_TRUNC), EPERM);
  CHECK_ERRNO(truncate("f", 0), EPERM);
  CHECK_ERRNO(truncate("f", 100), EPERM);
  CHECK_ERRNO(chmod("f", 0600), EPERM);
  CHECK_ERRNO(chown("f", 1, 1), EPERM);
  CHECK_ERRNO(unlink("f"), EPERM);
  CHECK_ERRNO(rename("f", "h"), EPERM);
  CHECK_ERRNO(rename("g", "f"), EPERM);
  CHECK_ERRNO(link("f", "h"), EPERM);
  CHECK_ERRNO(setxattr("f", "user.a", "2", 1, 0), EPERM);
  timespec times[2] = {{1, 1}, {2, 2}};
  CHECK_ERRNO(utimensat(AT_FDCWD, "f", times, 0), EPERM);
  CHECK_OK(utimensat(AT_FDCWD, "f", nullptr, 0));
  {
    Fd fd = OpenOk("f", O_WRONLY | O_APPEND);
    CHECK_EQ(write(fd, "more\n", 5), 5);
    CHECK_ERRNO(ftruncate(fd, 0), EPERM);
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 100000), EPERM);
    CHECK_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8192));
  }
  CHECK_EQ(ReadFile("f"), "log\nmore\n");
  CHECK_EQ(Change("f", 0, FS_APPEND_FL), 0);
  CHECK_OK(truncate("f", 0));
}

TEST_F(InodeFlagsTest, AnImmutableDirectoryKeepsItsNames) {
  CHECK_OK(mkdir("d", 0777));
  CHECK_OK(mkdir("d/sub", 0777));
  WriteFile("d/f", "x");
  WriteFile("g", "x");
  CHECK_EQ(Change("d", FS_IMMUTABLE_FL, 0), 0);
  CHECK_ERRNO(open("d/new", O_WRONLY | O_CREAT, 0644), EPERM);
  CHECK_ERRNO(mkdir("d/new", 0755), EPERM);
  CHECK_ERRNO(mkfifo("d/new", 0644), EPERM);
  CHECK_ERRNO(symlink("x", "d/new"), EPERM);
  CHECK_ERRNO(link("g", "d/new"), EPERM);
  CHECK_ERRNO(open("d", O_TMPFILE | O_WRONLY, 0644), EPERM);
  CHECK_ERRNO(unlink("d/f"), EPERM);
  CHECK_ERRNO(rmdir("d/sub"), EPERM);
  CHECK_ERRNO(rename("d/f", "h"), EPERM);
  CHECK_ERRNO(rename("g", "d/f"), EPERM);
  CHECK_ERRNO(rename("d/f", "d/f2"), EPERM);
  CHECK_ERRNO(rmdir("d"), EPERM);
  CHECK_ERRNO(rename("d", "e"), EPERM);
  CHECK_ERRNO(chmod("d", 0700), EPERM);
  // What is in it is not the directory.
  WriteFile("d/f", "changed");
  CHECK_EQ(ReadFile("d/f"), "changed");
  CHECK_OK(mkdir("d/sub/deeper", 0755));
  CHECK_EQ(List("d").size(), 2);
  CHECK_EQ(Change("d", 0, FS_IMMUTABLE_FL), 0);
  CHECK_OK(unlink("d/f"));
}

TEST_F(InodeFlagsTest, AnAppendOnlyDirectoryOnlyGains) {
  CHECK_OK(mkdir("d", 0777));
  CHECK_EQ(Change("d", FS_APPEND_FL, 0), 0);
  WriteFile("d/f", "x");
  CHECK_OK(mkdir("d/sub", 0755));
  CHECK_ERRNO(unlink("d/f"), EPERM);
  CHECK_ERRNO(rmdir("d/sub"), EPERM);
  CHECK_ERRNO(rename("d/f", "d/f2"), EPERM);
  CHECK_ERRNO(rename("d/f", "h"), EPERM);
  WriteFile("g", "x");
  CHECK_OK(rename("g", "d/g"));
  CHECK_ERRNO(rename("d/g", "d/f"), EPERM);
  CHECK_EQ(List("d").size(), 3);
  CHECK_EQ(Change("d", 0, FS_APPEND_FL), 0);
}

TEST_F(InodeFlagsTest, NewInodesInheritOnlyHarmlessOnes) {
  CHECK_OK(mkdir("d", 0777));
  CHECK_EQ(Change("d", FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL, 0), 0);
  WriteFile("d/f", "x");
  CHECK_OK(mkdir("d/sub", 0755));
  CHECK_EQ(Flags("d/f"), FS_NODUMP_FL | FS_NOATIME_FL);
  CHECK_EQ(Flags("d/sub"), FS_NODUMP_FL | FS_NOATIME_FL);
}

TEST_F(InodeFlagsTest, NoAtimeKeepsTheAccessTime) {
  WriteFile("f", "x");
  timespec times[2] = {{1000, 0}, {2000, 0}};
  CHECK_OK(utimensat(AT_FDCWD, "f", times, 0));
  CHECK_EQ(Change("f", FS_NOATIME_FL, 0), 0);
  CHECK_EQ(ReadFile("f"), "x");
  CHECK_EQ(Stat("f").st_atim.tv_sec, 1000);
}

TEST_F(InodeFlagsTest, SymlinksAndDevicesHaveNone) {
  CHECK_OK(mkfifo("p", 0644));
  unsigned flags = 0;
  const int error = GetFlags("p", &flags);
  CHECK_TRUE(error == 0 || error == ENOTTY || error == EOPNOTSUPP);
}

}  // namespace
}  // namespace kfs::posix_test

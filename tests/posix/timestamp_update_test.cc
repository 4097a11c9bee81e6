// Which operation marks which of atime, mtime and ctime, of the file and of its directory.
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cstdio>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

// Which times an operation moved: any of "a", "m", "c" in that order.
class TimestampUpdateTest : public PosixTest {
 protected:
  // Sets atime and mtime back to 1970 and remembers the ctime; then waits until the clock of the file system
  // has moved past it, so that a changed ctime shows.
  void Watch(const std::string& path) {
    timespec old[2] = {{1000, 0}, {1000, 0}};
    CHECK_OK(utimensat(AT_FDCWD, path.c_str(), old, AT_SYMLINK_NOFOLLOW));
    ctime_ = Lstat(path).st_ctim;
    CHECK_TRUE(WaitUntil([&] {
      Fd fd(open(tick_.c_str(), O_WRONLY | O_CREAT, 0644));
      timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
      futimens(fd, now);
      struct stat st = {};
      fstat(fd, &st);
      return ctime_ < st.st_mtim;
    }));
  }
  std::string Moved(const std::string& path) {
    struct stat st = Lstat(path);
    std::string moved;
    if (st.st_atim != timespec{1000, 0}) moved += "a";
    if (st.st_mtim != timespec{1000, 0}) moved += "m";
    if (st.st_ctim != ctime_) moved += "c";
    return moved;
  }
  void SetUp() override {
    PosixTest::SetUp();
    ASSERT_EQ(mkdir("tick", 0755), 0);
    ASSERT_EQ(mkdir("d", 0755), 0);
    WriteFile("d/f", "content");
  }
  timespec ctime_ = {};
  std::string tick_ = "tick/t";
};

#define MOVES(path, operation, wanted) \
  do {                                 \
    Watch(path);                       \
    CHECK_OK(operation);               \
    CHECK_EQ(Moved(path), wanted);     \
  } while (false)

TEST_F(TimestampUpdateTest, NewFileHasThreeNewTimes) {
  timespec before;
  clock_gettime(CLOCK_REALTIME_COARSE, &before);
  before.tv_nsec = 0;
  WriteFile("new", "");
  struct stat st = Stat("new");
  CHECK_TRUE(before <= st.st_atim);
  CHECK_TRUE(before <= st.st_mtim);
  CHECK_TRUE(before <= st.st_ctim);
  CHECK_LE(st.st_mtim.tv_sec, before.tv_sec + 60);
}

TEST_F(TimestampUpdateTest, DataChangesMoveMtimeAndCtime) {
  Fd fd = OpenOk("d/f", O_RDWR);
  MOVES("d/f", pwrite(fd, "x", 1, 0), "mc");
  MOVES("d/f", ftruncate(fd, 100), "mc");
  MOVES("d/f", ftruncate(fd, 50), "mc");
  MOVES("d/f", truncate("d/f", 20), "mc");
  MOVES("d/f", fallocate(fd, 0, 0, 8192), "mc");
  MOVES("d/f", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), "mc");
  MOVES("d/f", OpenOk("d/f", O_WRONLY | O_TRUNC).Close(), "mc");
  MOVES("d/f", (pwrite(fd, "", 0, 0)), "");
  MOVES("d/f", OpenOk("d/f", O_WRONLY | O_CREAT).Close(), "");
}

TEST_F(TimestampUpdateTest, WriteShowsInEachStatBeforeClose) {
  Fd fd = OpenOk("d/f", O_WRONLY);
  for (int i = 0; i < 5; ++i) {
    Watch("d/f");
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_EQ(Moved("d/f"), "mc");
    timespec seen = Stat("d/f").st_mtim;
    CHECK_TRUE(Stat("d/f").st_mtim == seen);  // does not drift afterwards
  }
  timespec written = Stat("d/f").st_mtim;
  CHECK_OK(fsync(fd));
  fd.Close();
  CHECK_TRUE(Stat("d/f").st_mtim == written);
}

TEST_F(TimestampUpdateTest, AttributeChangesMoveOnlyCtime) {
  MOVES("d/f", chmod("d/f", 0600), "c");
  MOVES("d/f", chown("d/f", getuid(), getgid()), "c");
  MOVES("d/f", setxattr("d/f", "user.a", "v", 1, 0), "c");
  MOVES("d/f", removexattr("d/f", "user.a"), "c");
  MOVES("d", chmod("d", 0700), "c");
  MOVES("d/f", link("d/f", "d/g"), "c");
  MOVES("d/f", unlink("d/g"), "c");
  MOVES("d/f", rename("d/f", "d/h") | rename("d/h", "d/f"), "c");
}

TEST_F(TimestampUpdateTest, LookingMovesNothing) {
  struct stat st;
  MOVES("d/f", stat("d/f", &st), "");
  MOVES("d/f", access("d/f", R_OK), "");
  MOVES("d/f", OpenOk("d/f", O_RDONLY).Close(), "");
  MOVES("d", stat("d/f", &st), "");
  MOVES("d/f", getxattr("d/f", "user.none", nullptr, 0) < 0 ? 0 : 0, "");
  MOVES("d", chmod("d/f", 0640), "");
  Fd fd = OpenOk("d/f", O_RDWR);
  MOVES("d", pwrite(fd, "x", 1, 0), "");
}

TEST_F(TimestampUpdateTest, ReadMovesAtimeWhereTheMountKeepsIt) {
  struct statvfs fs;
  CHECK_OK(statvfs(".", &fs));
  if ((fs.f_flag & ST_NOATIME) != 0) GTEST_SKIP() << "mounted with noatime";
  Watch("d/f");
  CHECK_EQ(ReadFile("d/f"), "content");
  CHECK_EQ(Moved("d/f"), "a");
  Fd fd = OpenOk("d/f", O_RDONLY | O_NOATIME);
  Watch("d/f");
  CHECK_EQ(PreadAll(fd, 7, 0), "content");
  CHECK_EQ(Moved("d/f"), "");
}

TEST_F(TimestampUpdateTest, DirectoryMovesWithItsEntries) {
  MOVES("d", OpenOk("d/new", O_WRONLY | O_CREAT).Close(), "mc");
  MOVES("d", unlink("d/new"), "mc");
  MOVES("d", mkdir("d/sub", 0755), "mc");
  MOVES("d", rmdir("d/sub"), "mc");
  MOVES("d", symlink("x", "d/s"), "mc");
  MOVES("d", mkfifo("d/p", 0644), "mc");
  MOVES("d", link("d/f", "d/l"), "mc");
  MOVES("d", rename("d/l", "d/m"), "mc");
  MOVES("d", rename("d/m", "m"), "mc");
  MOVES("d", rename("m", "d/m"), "mc");
  WriteFile("d/other", "x");
  MOVES("d", renameat2(AT_FDCWD, "d/other", AT_FDCWD, "d/f", RENAME_EXCHANGE), "mc");
}

TEST_F(TimestampUpdateTest, FailedChangesMoveNothing) {
  CHECK_OK(mkdir("d/sub", 0755));
  Watch("d");
  CHECK_ERRNO(mkdir("d/sub", 0755), EEXIST);
  CHECK_ERRNO(unlink("d/missing"), ENOENT);
  CHECK_ERRNO(open("d/f", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
  CHECK_ERRNO(rename("d/missing", "d/x"), ENOENT);
  CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
  CHECK_EQ(Moved("d"), "");
}

TEST_F(TimestampUpdateTest, ReplacedAndRemovedFilesGetANewCtime) {
  WriteFile("d/other", "x");
  Fd fd = OpenOk("d/f", O_RDONLY);
  Watch("d/f");
  CHECK_OK(rename("d/other", "d/f"));
  CHECK_TRUE(Fstat(fd).st_ctim != ctime_);
  CHECK_EQ(Fstat(fd).st_nlink, 0);
}

TEST_F(TimestampUpdateTest, CtimeNeverGoesBack) {
  timespec last = Stat("d/f").st_ctim;
  int back = 0;
  Fd fd = OpenOk("d/f", O_WRONLY);
  for (int i = 0; i < 200; ++i) {
    if (i % 2 == 0)
      chmod("d/f", i % 4 == 0 ? 0600 : 0644);
    else
      pwrite(fd, "x", 1, i) == 1 ? 0 : ++back;
    struct stat st = {};
    stat("d/f", &st);
    back += st.st_ctim < last;
    last = st.st_ctim;
  }
  CHECK_EQ(back, 0);
}

}  // namespace
}  // namespace kfs::posix_test

// The time of birth that statx(2) shows.
#include <sys/sysmacros.h>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class BirthTimeTest : public PosixTest {
 protected:
  void SetUp() override {
    PosixTest::SetUp();
    WriteFile("probe", "");
    if ((Statx("probe").stx_mask & STATX_BTIME) == 0)
      GTEST_SKIP() << "this file system tells no time of birth";
  }
  static struct statx Statx(const std::string& path, unsigned mask = STATX_BASIC_STATS | STATX_BTIME) {
    struct statx out = {};
    CHECK_OK(statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, mask, &out));
    return out;
  }
  static timespec Birth(const std::string& path) {
    struct statx x = Statx(path);
    CHECK_NE(x.stx_mask & STATX_BTIME, 0);
    return {static_cast<time_t>(x.stx_btime.tv_sec), static_cast<long>(x.stx_btime.tv_nsec)};
  }
};

TEST_F(BirthTimeTest, IsWhenTheInodeWasMade) {
  timespec before, after;
  clock_gettime(CLOCK_REALTIME, &before);
  --before.tv_sec;  // coarser clocks
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(symlink("x", "l"));
  CHECK_OK(mkfifo("p", 0644));
  clock_gettime(CLOCK_REALTIME, &after);
  ++after.tv_sec;
  for (const char* path : {"f", "d", "l", "p"}) {
    CHECK_TRUE(before <= Birth(path));
    CHECK_TRUE(Birth(path) <= after);
  }
}

TEST_F(BirthTimeTest, StaysWhateverHappens) {
  WriteFile("f", "x");
  const timespec birth = Birth("f");
  timespec times[2] = {{1, 1}, {2, 2}};
  CHECK_OK(utimensat(AT_FDCWD, "f", times, 0));
  CHECK_OK(chmod("f", 0600));
  WriteFile("f", "more");
  CHECK_OK(rename("f", "g"));
  CHECK_OK(link("g", "h"));
  CHECK_TRUE(Birth("h") == birth);
}

TEST_F(BirthTimeTest, TheRestIsAsStatSays) {
  WriteFile("f", std::string(10000, 'x'), 0640);
  const struct stat st = Stat("f");
  const struct statx x = Statx("f");
  CHECK_EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
  CHECK_EQ(x.stx_mode, st.st_mode);
  CHECK_EQ(x.stx_size, st.st_size);
  CHECK_EQ(x.stx_ino, st.st_ino);
  CHECK_EQ(x.stx_nlink, st.st_nlink);
  CHECK_EQ(x.stx_uid, st.st_uid);
  CHECK_EQ(x.stx_gid, st.st_gid);
  CHECK_EQ(x.stx_blocks, st.st_blocks);
  CHECK_EQ(x.stx_mtime.tv_sec, st.st_mtim.tv_sec);
  CHECK_EQ(x.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
  CHECK_EQ(x.stx_atime.tv_sec, st.st_atim.tv_sec);
  CHECK_EQ(x.stx_ctime.tv_nsec, st.st_ctim.tv_nsec);
}

TEST_F(BirthTimeTest, OfADeviceAndOfARemovedFile) {
  NEEDS_ROOT();
  CHECK_OK(mknod("n", S_IFCHR | 0600, makedev(259, 300)));
  const struct statx node = Statx("n");
  CHECK_EQ(node.stx_rdev_major, 259);
  CHECK_EQ(node.stx_rdev_minor, 300);
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_OK(unlink("f"));
  struct statx x = {};
  CHECK_OK(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &x));
  CHECK_EQ(x.stx_nlink, 0);
  CHECK_NE(x.stx_mask & STATX_BTIME, 0);
}

TEST_F(BirthTimeTest, AloneIsAnswered) {
  WriteFile("f", "x");
  const struct statx x = Statx("f", STATX_BTIME);
  CHECK_NE(x.stx_mask & STATX_BTIME, 0);
  CHECK_EQ(x.stx_btime.tv_sec, Birth("f").tv_sec);
}

}  // namespace
}  // namespace kfs::posix_test

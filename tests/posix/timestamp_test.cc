// utimensat(2): nanoseconds, NOW, OMIT, refusals and who may.
#include "posix_env.h"

namespace kfs::posix_test {
namespace {

constexpr timespec kNow = {0, UTIME_NOW};
constexpr timespec kOmit = {0, UTIME_OMIT};

class TimestampTest : public PosixTest {
 protected:
  static int SetTimes(const char* path, timespec atime, timespec mtime, int flags = 0) {
    timespec times[2] = {atime, mtime};
    return utimensat(AT_FDCWD, path, times, flags);
  }
  static timespec Clock() {
    timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    now.tv_nsec = 0;  // so that a file system with a coarser clock is never before it
    return now;
  }
};

TEST_F(TimestampTest, NanosecondsAreKept) {
  WriteFile("f", "x");
  CHECK_OK(SetTimes("f", {1234567890, 123456789}, {987654321, 987654321}));
  struct stat st = Stat("f");
  CHECK_TRUE(st.st_atim == (timespec{1234567890, 123456789}));
  CHECK_TRUE(st.st_mtim == (timespec{987654321, 987654321}));
  CHECK_OK(SetTimes("f", {1, 999999999}, {0, 1}));
  st = Stat("f");
  CHECK_TRUE(st.st_atim == (timespec{1, 999999999}));
  CHECK_TRUE(st.st_mtim == (timespec{0, 1}));
}

TEST_F(TimestampTest, TimesBefore1970AndBeyond2038) {
  WriteFile("f", "x");
  for (time_t seconds : {time_t{-1000}, time_t{2147483648}, time_t{4294967296}, time_t{8589934592}}) {
    CHECK_OK(SetTimes("f", {seconds, 5}, {seconds, 7}));
    CHECK_EQ(Stat("f").st_mtim.tv_sec, seconds);
    CHECK_EQ(Stat("f").st_mtim.tv_nsec, 7);
    CHECK_EQ(Stat("f").st_atim.tv_sec, seconds);
  }
}

// Where 64 bits of nanoseconds end, and what ext4 can keep.
TEST_F(TimestampTest, TimesBeyond2262) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(symlink("f", "l"));
  for (const char* path : {"f", "d", "l"}) {
    for (timespec t : {timespec{9223372036, 854775807}, timespec{9223372036, 854775808},
                       timespec{9223372037, 1}, timespec{10000000000, 999999999}, timespec{15032385535, 0}}) {
      CHECK_OK(SetTimes(path, t, {t.tv_sec - 1, t.tv_nsec}, AT_SYMLINK_NOFOLLOW));
      struct stat st = Lstat(path);
      CHECK_TRUE(st.st_atim == t);
      CHECK_TRUE(st.st_mtim == (timespec{t.tv_sec - 1, t.tv_nsec}));
    }
  }
  // Back again, by name and by themselves.
  CHECK_OK(SetTimes("f", {5, 5}, kOmit));
  CHECK_TRUE(Stat("f").st_atim == (timespec{5, 5}));
  CHECK_EQ(Stat("f").st_mtim.tv_sec, 15032385534);
  WriteFile("f", "changed");
  CHECK_TRUE(Stat("f").st_mtim <= (timespec{Clock().tv_sec + 2, 0}));
  CHECK_OK(SetTimes("f", {15032385535, 7}, {15032385535, 7}));
  CHECK_OK(SetTimes("f", kNow, kNow));
  CHECK_TRUE(Stat("f").st_atim <= (timespec{Clock().tv_sec + 2, 0}));
}

TEST_F(TimestampTest, AbsurdTimesAreTheNearestPossible) {
  WriteFile("f", "x");
  CHECK_OK(SetTimes("f", {INT64_MAX, 0}, {INT64_MIN, 0}));
  CHECK_GE(Stat("f").st_atim.tv_sec, 15032385535);
  CHECK_LE(Stat("f").st_mtim.tv_sec, -2147483648);
}

TEST_F(TimestampTest, NowAndOmit) {
  WriteFile("f", "x");
  CHECK_OK(SetTimes("f", {1000, 1}, {2000, 2}));
  timespec before = Clock();
  CHECK_OK(SetTimes("f", kNow, kOmit));
  struct stat st = Stat("f");
  CHECK_TRUE(before <= st.st_atim);
  CHECK_TRUE(st.st_mtim == (timespec{2000, 2}));
  CHECK_OK(SetTimes("f", {3000, 3}, kNow));
  st = Stat("f");
  CHECK_TRUE(st.st_atim == (timespec{3000, 3}));
  CHECK_TRUE(before <= st.st_mtim);
  CHECK_OK(SetTimes("f", kOmit, {4000, 4}));
  CHECK_OK(SetTimes("f", kOmit, kOmit));
  st = Stat("f");
  CHECK_TRUE(st.st_atim == (timespec{3000, 3}));
  CHECK_TRUE(st.st_mtim == (timespec{4000, 4}));
  CHECK_OK(utimensat(AT_FDCWD, "f", nullptr, 0));
  CHECK_TRUE(before <= Stat("f").st_atim);
  CHECK_TRUE(before <= Stat("f").st_mtim);
}

TEST_F(TimestampTest, ChangesTheCtime) {
  WriteFile("f", "x");
  timespec before = Stat("f").st_ctim;
  CHECK_TRUE(WaitUntil([&] {
    CHECK_OK(SetTimes("f", {1000, 0}, {1000, 0}));
    return before < Stat("f").st_ctim;
  }));
}

TEST_F(TimestampTest, Refusals) {
  WriteFile("f", "x");
  CHECK_ERRNO(SetTimes("f", {0, 1000000000}, kOmit), EINVAL);
  CHECK_ERRNO(SetTimes("f", kOmit, {0, -1}), EINVAL);
  CHECK_ERRNO(SetTimes("f", kNow, kNow, 0x1), EINVAL);
  CHECK_ERRNO(SetTimes("missing", kNow, kNow), ENOENT);
  CHECK_ERRNO(SetTimes("f/x", kNow, kNow), ENOTDIR);
  timespec times[2] = {kNow, kNow};
  CHECK_ERRNO(futimens(-1, times), EBADF);
}

TEST_F(TimestampTest, DescriptorsDirectoriesSymlinksAndFifos) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(mkfifo("p", 0644));
  CHECK_OK(symlink("f", "s"));
  Fd fd = OpenOk("f", O_RDONLY);
  timespec times[2] = {{100, 1}, {200, 2}};
  CHECK_OK(futimens(fd, times));
  CHECK_TRUE(Fstat(fd).st_mtim == times[1]);
  CHECK_OK(SetTimes("d", {300, 3}, {400, 4}));
  CHECK_TRUE(Stat("d").st_mtim == (timespec{400, 4}));
  CHECK_OK(SetTimes("p", {300, 3}, {400, 4}));
  CHECK_TRUE(Stat("p").st_mtim == (timespec{400, 4}));
  CHECK_OK(SetTimes("s", {500, 5}, {600, 6}, AT_SYMLINK_NOFOLLOW));
  CHECK_TRUE(Lstat("s").st_mtim == (timespec{600, 6}));
  CHECK_TRUE(Stat("f").st_mtim == times[1]);
  CHECK_OK(SetTimes("s", {700, 7}, {800, 8}));
  CHECK_TRUE(Stat("f").st_mtim == (timespec{800, 8}));
  CHECK_TRUE(Lstat("s").st_mtim == (timespec{600, 6}));
}

TEST_F(TimestampTest, OwnerSetsAnyTimeWriterOnlyNow) {
  NEEDS_ROOT();
  WriteFile("f", "x");
  CHECK_OK(chown("f", kAlice.uid, kAlice.gid));
  CHECK_OK(chmod("f", 0466));  // the owner may not write, others may
  CHECK_OK_AS(kAlice, SetTimes("f", {1000, 0}, {2000, 0}));
  CHECK_OK_AS(kAlice, SetTimes("f", kNow, kNow));
  CHECK_ERRNO_AS(kBob, SetTimes("f", {1000, 0}, {2000, 0}), EPERM);
  CHECK_ERRNO_AS(kBob, SetTimes("f", kNow, kOmit), EPERM);
  CHECK_ERRNO_AS(kBob, SetTimes("f", kOmit, kNow), EPERM);
  CHECK_OK_AS(kBob, SetTimes("f", kNow, kNow));
  CHECK_OK_AS(kBob, utimensat(AT_FDCWD, "f", nullptr, 0));
  CHECK_OK(chmod("f", 0444));
  CHECK_ERRNO_AS(kBob, SetTimes("f", kNow, kNow), EACCES);
  CHECK_ERRNO_AS(kBob, SetTimes("f", {1000, 0}, {2000, 0}), EPERM);
  CHECK_OK_AS(kBob, SetTimes("f", kOmit, kOmit));
}

TEST_F(TimestampTest, LaterChangesReplaceSetTimes) {
  WriteFile("f", "x");
  CHECK_OK(SetTimes("f", {1000, 0}, {1000, 0}));
  Fd fd = OpenOk("f", O_WRONLY);
  CHECK_EQ(write(fd, "y", 1), 1);
  CHECK_GT(Stat("f").st_mtim.tv_sec, 1000);
  CHECK_OK(SetTimes("f", {1000, 0}, {1000, 0}));  // after the write, with the file still open
  CHECK_EQ(Stat("f").st_mtim.tv_sec, 1000);
  fd.Close();
  CHECK_EQ(Stat("f").st_mtim.tv_sec, 1000);  // close and fsync bring no other time
}

TEST_F(TimestampTest, BirthTimeDoesNotMove) {
  WriteFile("f", "x");
  struct statx before = {}, after = {};
  CHECK_OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS | STATX_BTIME, &before));
  CHECK_EQ(before.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
  CHECK_EQ(before.stx_size, 1);
  CHECK_EQ(before.stx_ino, Stat("f").st_ino);
  WriteFile("f", "longer");
  CHECK_OK(SetTimes("f", {1000, 0}, {1000, 0}));
  CHECK_OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS | STATX_BTIME, &after));
  CHECK_EQ(after.stx_size, 6);
  CHECK_EQ(after.stx_mtime.tv_sec, 1000);
  CHECK_EQ(before.stx_mask & STATX_BTIME, after.stx_mask & STATX_BTIME);
  if ((after.stx_mask & STATX_BTIME) != 0) {
    CHECK_EQ(before.stx_btime.tv_sec, after.stx_btime.tv_sec);
    CHECK_EQ(before.stx_btime.tv_nsec, after.stx_btime.tv_nsec);
  }
}

}  // namespace
}  // namespace kfs::posix_test

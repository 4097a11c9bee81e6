// One test for each failure that other network file systems are known for, as seen by one user.
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>

#include <climits>
#include <cstdio>
#include <cstdlib>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class RegressionTest : public PosixTest {
 protected:
  static int LockWholeFile(int fd, int command) {
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    return fcntl(fd, command, &lock);
  }
};

TEST_F(RegressionTest, GrowingTruncateDoesNotDropTheContent) {
  std::string data = Pattern(70000);
  WriteFile("f", data);
  CHECK_OK(truncate("f", 200000));
  CHECK_TRUE(ReadFile("f").substr(0, 70000) == data);
  Fd fd = OpenOk("f", O_RDWR);
  CHECK_OK(ftruncate(fd, 300000));
  CHECK_TRUE(PreadAll(fd, 70000, 0) == data);
  CHECK_TRUE(IsZero(PreadAll(fd, 230000, 70000)));
}

TEST_F(RegressionTest, SizeIsNotZeroUntilClose) {
  Fd fd = OpenOk("f", O_WRONLY | O_CREAT);
  CHECK_EQ(write(fd, "1234567", 7), 7);
  CHECK_EQ(Stat("f").st_size, 7);
  Child other([] { return Stat("f").st_size == 7 ? 0 : 1; });
  CHECK_EQ(other.Wait(), 0);
  CHECK_EQ(ReadFile("f"), "1234567");
}

TEST_F(RegressionTest, ExchangeDoesNotOverwrite) {
  WriteFile("a", "content of a");
  WriteFile("b", "content of b");
  CHECK_OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
  CHECK_EQ(ReadFile("a"), "content of b");
  CHECK_EQ(ReadFile("b"), "content of a");
  CHECK_EQ(List(".").size(), 2);
}

TEST_F(RegressionTest, OddNamesAreNotRefused) {
  for (const char* name :
       {"a:b", "a\\b", "a\nb", " a", "a ", "a*b", "a?b", "a|b", "\"a\"", "a\x80", "...", "a%2fb"}) {
    WriteFile(name, name);
    CHECK_EQ(ReadFile(name), name);
    CHECK_OK(unlink(name));
  }
}

TEST_F(RegressionTest, SymlinksAppendXattrsAndUtimensAllWork) {
  WriteFile("f", "a");
  CHECK_OK(symlink("f", "s"));
  CHECK_EQ(ReadFile("s"), "a");
  Fd fd = OpenOk("f", O_WRONLY | O_APPEND);
  CHECK_EQ(write(fd, "b", 1), 1);
  CHECK_EQ(ReadFile("f"), "ab");
  CHECK_OK(setxattr("f", "user.x", "v", 1, 0));
  CHECK_EQ(getxattr("f", "user.x", nullptr, 0), 1);
  timespec times[2] = {{1, 2}, {3, 4}};
  CHECK_OK(utimensat(AT_FDCWD, "f", times, 0));
  CHECK_TRUE(Stat("f").st_mtim == times[1]);
}

TEST_F(RegressionTest, ZeroRangeAndPunchHoleLeaveTheRightData) {
  std::string data = Pattern(300000);
  for (int mode : {FALLOC_FL_ZERO_RANGE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE}) {
    WriteFile("f", data);
    Fd fd = OpenOk("f", O_RDWR);
    CHECK_TRUE(PreadAll(fd, 300000, 0) == data);  // now cached
    if (fallocate(fd, mode, 65530, 100000) != 0 && errno == EOPNOTSUPP && mode == FALLOC_FL_ZERO_RANGE)
      continue;
    std::string wanted = data;
    wanted.replace(65530, 100000, 100000, '\0');
    CHECK_TRUE(PreadAll(fd, 300001, 0) == wanted);
    CHECK_EQ(pwrite(fd, "new", 3, 100000), 3);
    wanted.replace(100000, 3, "new");
    CHECK_TRUE(PreadAll(fd, 300001, 0) == wanted);
    fd.Close();
    CHECK_TRUE(ReadFile("f") == wanted);
  }
}

TEST_F(RegressionTest, CloseReleasesFlockBeforeItReturns) {
  Fd other = OpenOk("f", O_RDWR | O_CREAT);
  for (int i = 0; i < 100; ++i) {
    Fd fd = OpenOk("f", O_RDONLY);
    CHECK_OK(flock(fd, LOCK_EX | LOCK_NB));
    fd.Close();
    if (!CHECK_OK(flock(other, LOCK_EX | LOCK_NB))) break;
    CHECK_OK(flock(other, LOCK_UN));
  }
}

TEST_F(RegressionTest, ExitReleasesFlockBeforeTheParentKnows) {
  Fd other = OpenOk("f", O_RDWR | O_CREAT);
  for (int i = 0; i < 30; ++i) {
    Child child([] { return Errno(flock(open("f", O_RDONLY), LOCK_EX | LOCK_NB)); });
    CHECK_EQ(child.Wait(), 0);
    if (!CHECK_OK(flock(other, LOCK_EX | LOCK_NB))) break;
    CHECK_OK(flock(other, LOCK_UN));
  }
}

TEST_F(RegressionTest, FilesReplacedWhileOpenAreNotStale) {
  for (int i = 0; i < 20; ++i) {
    WriteFile("f", "old " + std::to_string(i));
    Fd fd = OpenOk("f", O_RDWR);
    Child replacer([] {
      WriteFile("next", "new");
      return Errno(rename("next", "f"));
    });
    CHECK_EQ(replacer.Wait(), 0);
    CHECK_EQ(PreadAll(fd, 100, 0), "old " + std::to_string(i));
    CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
    CHECK_EQ(Fstat(fd).st_nlink, 0);
    CHECK_EQ(ReadFile("f"), "new");
    CHECK_EQ(Stat("f").st_nlink, 1);
  }
}

TEST_F(RegressionTest, MkdirAndSymlinkRacesHaveOneWinner) {
  for (int i = 0; i < 50; ++i) {
    auto made = RunTogether(3, [](int) { return Errno(mkdir("d", 0755)); });
    CHECK_EQ((made[0] == 0) + (made[1] == 0) + (made[2] == 0), 1);
    CHECK_OK(rmdir("d"));
    auto linked = RunTogether(3, [](int) { return Errno(symlink("t", "s")); });
    CHECK_EQ((linked[0] == 0) + (linked[1] == 0) + (linked[2] == 0), 1);
    CHECK_OK(unlink("s"));
  }
}

TEST_F(RegressionTest, MoreThanOneHundredLinks) {
  WriteFile("f", "x");
  int made = 0;
  for (int i = 0; i < 300; ++i) made += link("f", std::to_string(i).c_str()) == 0;
  CHECK_EQ(made, 300);
  CHECK_EQ(Stat("f").st_nlink, 301);
}

TEST_F(RegressionTest, PathsOfMoreThanOneThousandBytes) {
  std::string path = dir();
  while (path.size() < 3500) {
    path += "/" + std::string(250, 'p');
    CHECK_OK(mkdir(path.c_str(), 0755));
  }
  WriteFile(path + "/f", "deep");
  CHECK_EQ(ReadFile(path + "/f"), "deep");
  CHECK_OK(rename((path + "/f").c_str(), (path + "/g").c_str()));
  CHECK_OK(symlink("g", (path + "/s").c_str()));
  CHECK_EQ(ReadFile(path + "/s"), "deep");
}

TEST_F(RegressionTest, GibibyteHoleTakesLessThanAMebibyte) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_EQ(pwrite(fd, "start", 5, 0), 5);
  CHECK_EQ(pwrite(fd, "end", 3, off_t{1} << 30), 3);
  CHECK_OK(fsync(fd));
  CHECK_EQ(Stat("f").st_size, (off_t{1} << 30) + 3);
  CHECK_LT(Stat("f").st_blocks * 512, 1 << 20);
  CHECK_TRUE(IsZero(PreadAll(fd, 1 << 16, off_t{1} << 29)));
  CHECK_EQ(lseek(fd, 1 << 20, SEEK_DATA), off_t{1} << 30);
}

TEST_F(RegressionTest, TimesAreFinerThanSeconds) {
  int fractions = 0;
  for (int i = 0; i < 5; ++i) {
    std::string name = "f" + std::to_string(i);
    WriteFile(name, "x");
    fractions += Stat(name).st_mtim.tv_nsec != 0;
    usleep(3000);  // another tick of the clock, so that one zero is only chance
  }
  CHECK_GE(fractions, 3);
}

TEST_F(RegressionTest, EntriesAreNotLostWhileTheDirectoryChanges) {
  CHECK_OK(mkdir("d", 0755));
  for (int i = 0; i < 500; ++i) WriteFile("d/keep" + std::to_string(i), "");
  for (int i = 0; i < 500; ++i) WriteFile("d/drop" + std::to_string(i), "");
  Child remover([] {
    for (int i = 0; i < 500; ++i) unlink(("d/drop" + std::to_string(i)).c_str());
    return 0;
  });
  int lost = 0;
  do {
    int kept = 0;
    for (const std::string& name : List("d")) kept += name[0] == 'k';
    lost += kept != 500;
  } while (!remover.Ended());
  CHECK_EQ(remover.Wait(), 0);
  CHECK_EQ(lost, 0);
  CHECK_EQ(List("d").size(), 500);
}

TEST_F(RegressionTest, ProcessWaitingInFlockCanBeKilled) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_OK(flock(fd, LOCK_EX));
  Child waiter([] { return Errno(flock(open("f", O_RDONLY), LOCK_EX)); });
  CHECK_TRUE(WaitBlockedIn(waiter.pid(), SYS_flock));
  waiter.Kill(SIGKILL);
  CHECK_TRUE(WaitUntil([&] { return waiter.Ended(); }, 5000));
  CHECK_OK(flock(fd, LOCK_UN));
  Fd next = OpenOk("f", O_RDONLY);
  CHECK_OK(flock(next, LOCK_EX | LOCK_NB));  // the killed waiter left nothing behind
}

TEST_F(RegressionTest, ProcessWaitingInARecordLockCanBeKilled) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_OK(LockWholeFile(fd, F_SETLK));
  Child waiter([] { return Errno(LockWholeFile(open("f", O_RDWR), F_SETLKW)); });
  CHECK_TRUE(WaitBlockedIn(waiter.pid(), SYS_fcntl));
  waiter.Kill(SIGKILL);
  CHECK_TRUE(WaitUntil([&] { return waiter.Ended(); }, 5000));
  fd.Close();
  Child next([] { return Errno(LockWholeFile(open("f", O_RDWR), F_SETLK)); });
  CHECK_EQ(next.Wait(), 0);
}

TEST_F(RegressionTest, DirectIoIsNotRefused) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT | O_DIRECT);
  void* buffer = nullptr;
  REQUIRE_TRUE(posix_memalign(&buffer, 4096, 4096) == 0);
  std::string data = Pattern(4096);
  data.copy(static_cast<char*>(buffer), 4096);
  CHECK_EQ(pwrite(fd, buffer, 4096, 0), 4096);
  CHECK_EQ(pread(fd, buffer, 4096, 0), 4096);
  CHECK_TRUE(std::string(static_cast<char*>(buffer), 4096) == data);
  free(buffer);
}

TEST_F(RegressionTest, TimerSignalsDoNotBreakMkdir) {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  itimerval timer = {{0, 300}, {0, 300}};  // as git's progress meter does, only faster
  CHECK_OK(setitimer(ITIMER_REAL, &timer, nullptr));
  int wrong = 0;
  for (int i = 0; i < 200; ++i) {
    wrong += mkdir(("d" + std::to_string(i)).c_str(), 0755) != 0;
    int fd = open(("f" + std::to_string(i)).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
    wrong += fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0;
  }
  timer = {};
  setitimer(ITIMER_REAL, &timer, nullptr);
  CHECK_EQ(wrong, 0);
  CHECK_EQ(List(".").size(), 400);
}

}  // namespace
}  // namespace kfs::posix_test

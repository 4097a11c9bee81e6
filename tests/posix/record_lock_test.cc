// fcntl(2) record locks, and locks of open file descriptions.
#include <signal.h>
#include <sys/syscall.h>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class RecordLockTest : public PosixTest {
 protected:
  static int Lock(int fd, short type, off_t start, off_t length, int command = F_SETLK) {
    struct flock lock = {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = start;
    lock.l_len = length;
    return fcntl(fd, command, &lock);
  }
  // As another process with a descriptor of its own: 0 when the lock is granted, else the errno.
  static int TryFromChild(short type, off_t start, off_t length) {
    Child child([&] {
      Fd fd(open("f", O_RDWR));
      return Errno(Lock(fd, type, start, length));
    });
    return child.Wait();
  }
  // What F_GETLK says to another process.
  static struct flock Ask(short type, off_t start, off_t length) {
    Shared<struct flock> answer;
    Child child([&] {
      Fd fd(open("f", O_RDWR));
      answer->l_type = type;
      answer->l_whence = SEEK_SET;
      answer->l_start = start;
      answer->l_len = length;
      return Errno(fcntl(fd, F_GETLK, &*answer));
    });
    CHECK_EQ(child.Wait(), 0);
    return *answer;
  }
  void SetUp() override {
    PosixTest::SetUp();
    WriteFile("f", std::string(1000, 'x'));
    fd_ = OpenOk("f", O_RDWR);
  }
  Fd fd_;
};

#define FREE(...) CHECK_EQ(TryFromChild(F_WRLCK, __VA_ARGS__), 0)
#define TAKEN(...) CHECK_EQ(TryFromChild(F_WRLCK, __VA_ARGS__), EAGAIN)

TEST_F(RecordLockTest, WriteLockExcludesAllAndReadLockWriters) {
  CHECK_OK(Lock(fd_, F_WRLCK, 0, 10));
  CHECK_EQ(TryFromChild(F_RDLCK, 0, 10), EAGAIN);
  CHECK_EQ(TryFromChild(F_WRLCK, 0, 10), EAGAIN);
  CHECK_EQ(TryFromChild(F_WRLCK, 9, 1), EAGAIN);
  CHECK_EQ(TryFromChild(F_WRLCK, 10, 1), 0);
  CHECK_OK(Lock(fd_, F_RDLCK, 0, 10));  // downgrade
  CHECK_EQ(TryFromChild(F_RDLCK, 0, 10), 0);
  CHECK_EQ(TryFromChild(F_WRLCK, 0, 10), EAGAIN);
  CHECK_OK(Lock(fd_, F_UNLCK, 0, 10));
  CHECK_EQ(TryFromChild(F_WRLCK, 0, 10), 0);
}

TEST_F(RecordLockTest, UnlockingTheMiddleSplits) {
  CHECK_OK(Lock(fd_, F_WRLCK, 0, 30));
  CHECK_OK(Lock(fd_, F_UNLCK, 10, 10));
  TAKEN(0, 10);
  FREE(10, 10);
  TAKEN(20, 10);
  TAKEN(15, 10);
  CHECK_OK(Lock(fd_, F_RDLCK, 5, 20));  // joins what lies between
  CHECK_EQ(TryFromChild(F_RDLCK, 5, 20), 0);
  CHECK_EQ(TryFromChild(F_RDLCK, 4, 1), EAGAIN);
  CHECK_EQ(TryFromChild(F_RDLCK, 25, 1), EAGAIN);
}

TEST_F(RecordLockTest, ZeroLengthReachesToInfinity) {
  CHECK_OK(Lock(fd_, F_WRLCK, 100, 0));
  FREE(0, 100);
  TAKEN(100, 1);
  TAKEN(off_t{1} << 40, 1);
  CHECK_OK(Lock(fd_, F_UNLCK, 0, 0));
  FREE(0, 0);
}

TEST_F(RecordLockTest, NegativeLengthAndOtherOrigins) {
  CHECK_OK(Lock(fd_, F_WRLCK, 50, -10));
  FREE(0, 40);
  TAKEN(40, 1);
  TAKEN(49, 1);
  FREE(50, 1);
  CHECK_OK(Lock(fd_, F_UNLCK, 0, 0));
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_END;
  lock.l_start = -5;
  lock.l_len = 5;
  CHECK_OK(fcntl(fd_, F_SETLK, &lock));
  TAKEN(995, 5);
  FREE(1000, 1);
  CHECK_EQ(lseek(fd_, 200, SEEK_SET), 200);
  lock.l_whence = SEEK_CUR;
  lock.l_start = 0;
  CHECK_OK(fcntl(fd_, F_SETLK, &lock));
  TAKEN(204, 1);
  FREE(205, 1);
}

TEST_F(RecordLockTest, GetlkNamesTheHolder) {
  CHECK_OK(Lock(fd_, F_WRLCK, 10, 20));
  struct flock found = Ask(F_RDLCK, 0, 0);
  CHECK_EQ(found.l_type, F_WRLCK);
  CHECK_EQ(found.l_start, 10);
  CHECK_EQ(found.l_len, 20);
  CHECK_EQ(found.l_whence, SEEK_SET);
  CHECK_EQ(found.l_pid, getpid());
  CHECK_EQ(Ask(F_WRLCK, 30, 10).l_type, F_UNLCK);
  CHECK_OK(Lock(fd_, F_RDLCK, 10, 20));
  CHECK_EQ(Ask(F_RDLCK, 0, 0).l_type, F_UNLCK);
  CHECK_EQ(Ask(F_WRLCK, 0, 0).l_type, F_RDLCK);
  struct flock own = {};
  own.l_type = F_WRLCK;
  CHECK_OK(fcntl(fd_, F_GETLK, &own));
  CHECK_EQ(own.l_type, F_UNLCK);  // one's own locks do not conflict
}

TEST_F(RecordLockTest, AccessModeMustFit) {
  Fd reader = OpenOk("f", O_RDONLY), writer = OpenOk("f", O_WRONLY);
  CHECK_ERRNO(Lock(reader, F_WRLCK, 0, 1), EBADF);
  CHECK_ERRNO(Lock(writer, F_RDLCK, 0, 1), EBADF);
  CHECK_OK(Lock(reader, F_RDLCK, 0, 1));
  CHECK_OK(Lock(writer, F_WRLCK, 0, 1));
  CHECK_ERRNO(Lock(fd_, 77, 0, 1), EINVAL);
  CHECK_ERRNO(Lock(fd_, F_WRLCK, -1, 1), EINVAL);
  CHECK_ERRNO(Lock(fd_, F_WRLCK, 5, -10), EINVAL);
  CHECK_ERRNO(Lock(-1, F_WRLCK, 0, 1), EBADF);
}

TEST_F(RecordLockTest, ClosingAnyDescriptorReleases) {
  CHECK_OK(Lock(fd_, F_WRLCK, 0, 10));
  TAKEN(0, 10);
  OpenOk("f", O_RDONLY).Close();
  FREE(0, 10);
  CHECK_OK(Lock(fd_, F_WRLCK, 0, 10));
  close(dup(fd_));
  FREE(0, 10);
}

TEST_F(RecordLockTest, ExitReleasesAndForkDoesNotInherit) {
  Child holder([&] {
    CHECK_OK(Lock(fd_, F_WRLCK, 0, 10));
    return 0;
  });
  CHECK_EQ(holder.Wait(), 0);
  FREE(0, 10);
  CHECK_OK(Lock(fd_, F_WRLCK, 0, 10));
  Child child([&] { return Errno(Lock(fd_, F_WRLCK, 0, 10)); });  // same description, other owner
  CHECK_EQ(child.Wait(), EAGAIN);
  TAKEN(0, 10);
}

TEST_F(RecordLockTest, BlockedWaiterGetsTheLockWhenItIsFree) {
  CHECK_OK(Lock(fd_, F_WRLCK, 0, 10));
  Shared<std::atomic<bool>> released;
  Child waiter([&] {
    Fd mine(open("f", O_RDWR));
    CHECK_OK(Lock(mine, F_WRLCK, 5, 10, F_SETLKW));
    return released->load() ? 0 : 1;
  });
  CHECK_TRUE(WaitBlockedIn(waiter.pid(), SYS_fcntl));
  CHECK_FALSE(waiter.Ended());
  released->store(true);
  CHECK_OK(Lock(fd_, F_UNLCK, 0, 10));
  CHECK_EQ(waiter.Wait(), 0);
}

TEST_F(RecordLockTest, DeadHolderFreesItsWaiter) {
  Shared<std::atomic<bool>> held;
  Child holder([&] {
    Fd mine(open("f", O_RDWR));
    CHECK_OK(Lock(mine, F_WRLCK, 0, 0));
    held->store(true);
    for (;;) pause();
    return 0;
  });
  CHECK_TRUE(WaitUntil([&] { return held->load(); }));
  Child waiter([&] {
    Fd mine(open("f", O_RDWR));
    return Errno(Lock(mine, F_WRLCK, 0, 0, F_SETLKW));
  });
  CHECK_TRUE(WaitBlockedIn(waiter.pid(), SYS_fcntl));
  holder.Kill(SIGKILL);
  CHECK_EQ(waiter.Wait(), 0);
  CHECK_EQ(holder.Wait(), 256 + SIGKILL);
}

TEST_F(RecordLockTest, SignalInterruptsTheWait) {
  CHECK_OK(Lock(fd_, F_WRLCK, 0, 10));
  Child waiter([&] {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    Fd mine(open("f", O_RDWR));
    return Errno(Lock(mine, F_WRLCK, 0, 10, F_SETLKW));
  });
  CHECK_TRUE(WaitBlockedIn(waiter.pid(), SYS_fcntl));
  CHECK_TRUE(WaitUntil([&] {  // again until it ends: the first may come before the wait begins
    waiter.Kill(SIGUSR1);
    return waiter.Ended();
  }));
  CHECK_EQ(waiter.Wait(), EINTR);
  CHECK_OK(Lock(fd_, F_UNLCK, 0, 10));
  FREE(0, 10);
}

TEST_F(RecordLockTest, DeadlockIsRefused) {
  CHECK_OK(Lock(fd_, F_WRLCK, 0, 1));
  Shared<std::atomic<bool>> held;
  Child other([&] {
    Fd mine(open("f", O_RDWR));
    CHECK_OK(Lock(mine, F_WRLCK, 1, 1));
    held->store(true);
    return Errno(Lock(mine, F_WRLCK, 0, 1, F_SETLKW));
  });
  CHECK_TRUE(WaitUntil([&] { return held->load(); }));
  CHECK_TRUE(WaitBlockedIn(other.pid(), SYS_fcntl));
  // One of the two is refused; here both may close the circle, depending on who is queued first.
  int mine = Errno(Lock(fd_, F_WRLCK, 1, 1, F_SETLKW));
  CHECK_TRUE(mine == EDEADLK || mine == 0);
  if (mine == EDEADLK) CHECK_OK(Lock(fd_, F_UNLCK, 0, 1));
  CHECK_EQ(other.Wait(), mine == EDEADLK ? 0 : EDEADLK);
}

TEST_F(RecordLockTest, LocksAreAdvisory) {
  CHECK_OK(Lock(fd_, F_WRLCK, 0, 0));
  Child child([] {
    WriteFile("f", "overwritten");
    return ReadFile("f") == "overwritten" ? 0 : 1;
  });
  CHECK_EQ(child.Wait(), 0);
}

TEST_F(RecordLockTest, LockfGuardsACounter) {
  constexpr int kProcesses = 4, kRounds = 50;
  WriteFile("counter", "0");
  auto codes = RunTogether(kProcesses, [](int) {
    for (int i = 0; i < kRounds; ++i) {
      Fd fd(open("counter", O_RDWR));
      if (lockf(fd, F_LOCK, 0) != 0) return 1;
      std::string next = std::to_string(atoi(PreadAll(fd, 20, 0).c_str()) + 1);
      if (pwrite(fd, next.data(), next.size(), 0) < 0) return 2;
    }
    return 0;
  });
  for (int code : codes) CHECK_EQ(code, 0);
  CHECK_EQ(ReadFile("counter"), std::to_string(kProcesses * kRounds));
}

TEST_F(RecordLockTest, OpenFileDescriptionLocksBelongToTheDescription) {
  if (Lock(fd_, F_WRLCK, 0, 10, F_OFD_SETLK) != 0) GTEST_SKIP() << "no locks of open file descriptions here";
  Fd second = OpenOk("f", O_RDWR);
  CHECK_ERRNO(Lock(second, F_WRLCK, 0, 10, F_OFD_SETLK), EAGAIN);
  CHECK_OK(Lock(second, F_WRLCK, 10, 10, F_OFD_SETLK));
  OpenOk("f", O_RDWR).Close();  // does not release
  CHECK_ERRNO(Lock(second, F_WRLCK, 0, 10, F_OFD_SETLK), EAGAIN);
  TAKEN(0, 10);  // classic locks conflict with them
  Fd duplicate(dup(fd_));
  fd_.Close();
  CHECK_ERRNO(Lock(second, F_WRLCK, 0, 10, F_OFD_SETLK), EAGAIN);
  duplicate.Close();
  CHECK_TRUE(WaitUntil([&] { return Lock(second, F_WRLCK, 0, 10, F_OFD_SETLK) == 0; }));
}

}  // namespace
}  // namespace kfs::posix_test

// flock(2): locks of open file descriptions over the whole file.
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class FlockTest : public PosixTest {
 protected:
  void SetUp() override {
    PosixTest::SetUp();
    WriteFile("f", "x");
    a_ = OpenOk("f", O_RDWR);
    b_ = OpenOk("f", O_RDWR);
  }
  Fd a_, b_;
};

TEST_F(FlockTest, SharedAndExclusive) {
  CHECK_OK(flock(a_, LOCK_SH | LOCK_NB));
  CHECK_OK(flock(b_, LOCK_SH | LOCK_NB));
  CHECK_ERRNO(flock(b_, LOCK_EX | LOCK_NB), EWOULDBLOCK);
  CHECK_OK(flock(a_, LOCK_UN));
  CHECK_OK(flock(b_, LOCK_EX | LOCK_NB));
  CHECK_ERRNO(flock(a_, LOCK_SH | LOCK_NB), EWOULDBLOCK);
  CHECK_ERRNO(flock(a_, LOCK_EX | LOCK_NB), EWOULDBLOCK);
  CHECK_OK(flock(b_, LOCK_UN));
  CHECK_OK(flock(a_, LOCK_EX | LOCK_NB));
  CHECK_OK(flock(a_, LOCK_EX | LOCK_NB));  // again is no change
  CHECK_OK(flock(a_, LOCK_SH | LOCK_NB));  // downgrade
  CHECK_OK(flock(b_, LOCK_SH | LOCK_NB));
}

TEST_F(FlockTest, Refusals) {
  CHECK_ERRNO(flock(a_, 0), EINVAL);
  CHECK_ERRNO(flock(a_, LOCK_SH | LOCK_EX), EINVAL);
  CHECK_ERRNO(flock(-1, LOCK_SH), EBADF);
  CHECK_OK(flock(a_, LOCK_UN));  // nothing held: no error
}

TEST_F(FlockTest, AnyOpenModeWillDo) {
  Fd reader = OpenOk("f", O_RDONLY);
  CHECK_OK(flock(reader, LOCK_EX | LOCK_NB));
  CHECK_ERRNO(flock(a_, LOCK_SH | LOCK_NB), EWOULDBLOCK);
  reader.Close();
  CHECK_OK(flock(a_, LOCK_SH | LOCK_NB));
}

TEST_F(FlockTest, DirectoriesCanBeLocked) {
  Fd first = OpenOk(".", O_RDONLY), second = OpenOk(".", O_RDONLY);
  CHECK_OK(flock(first, LOCK_EX | LOCK_NB));
  CHECK_ERRNO(flock(second, LOCK_EX | LOCK_NB), EWOULDBLOCK);
  first.Close();
  CHECK_OK(flock(second, LOCK_EX | LOCK_NB));
}

TEST_F(FlockTest, CloseReleasesAtOnce) {
  for (int i = 0; i < 20; ++i) {
    Fd fd = OpenOk("f", O_RDONLY);
    CHECK_OK(flock(fd, LOCK_EX | LOCK_NB));
    fd.Close();
    CHECK_OK(flock(a_, LOCK_EX | LOCK_NB));
    CHECK_OK(flock(a_, LOCK_UN));
  }
}

TEST_F(FlockTest, DuplicatesShareTheLock) {
  CHECK_OK(flock(a_, LOCK_EX | LOCK_NB));
  Fd duplicate(dup(a_));
  CHECK_OK(flock(duplicate, LOCK_EX | LOCK_NB));
  a_.Close();
  CHECK_ERRNO(flock(b_, LOCK_SH | LOCK_NB), EWOULDBLOCK);
  CHECK_OK(flock(duplicate, LOCK_UN));
  CHECK_OK(flock(b_, LOCK_EX | LOCK_NB));
}

TEST_F(FlockTest, ChildInheritsAndHoldsTheLock) {
  CHECK_OK(flock(a_, LOCK_EX | LOCK_NB));
  Shared<std::atomic<bool>> go;
  Child child([&] {
    if (flock(a_, LOCK_EX | LOCK_NB) != 0) return 1;
    return WaitUntil([&] { return go->load(); }) ? 0 : 2;
  });
  a_.Close();
  CHECK_ERRNO(flock(b_, LOCK_EX | LOCK_NB), EWOULDBLOCK);  // the child's descriptor is the same description
  go->store(true);
  CHECK_EQ(child.Wait(), 0);
  CHECK_OK(flock(b_, LOCK_EX | LOCK_NB));
}

TEST_F(FlockTest, ChildCanUnlockForBoth) {
  CHECK_OK(flock(a_, LOCK_EX | LOCK_NB));
  Child child([&] { return Errno(flock(a_, LOCK_UN)); });
  CHECK_EQ(child.Wait(), 0);
  CHECK_OK(flock(b_, LOCK_EX | LOCK_NB));
}

TEST_F(FlockTest, WaiterGetsTheLockWhenItIsFree) {
  CHECK_OK(flock(a_, LOCK_EX));
  Shared<std::atomic<bool>> released;
  Child waiter([&] {
    Fd mine(open("f", O_RDONLY));
    if (flock(mine, LOCK_EX) != 0) return 1;
    return released->load() ? 0 : 2;
  });
  CHECK_TRUE(WaitBlockedIn(waiter.pid(), SYS_flock));
  CHECK_FALSE(waiter.Ended());
  released->store(true);
  CHECK_OK(flock(a_, LOCK_UN));
  CHECK_EQ(waiter.Wait(), 0);
}

TEST_F(FlockTest, DeathOfTheHolderReleases) {
  Shared<std::atomic<bool>> held;
  Child holder([&] {
    Fd mine(open("f", O_RDONLY));
    if (flock(mine, LOCK_EX) != 0) return 1;
    held->store(true);
    for (;;) pause();
  });
  CHECK_TRUE(WaitUntil([&] { return held->load(); }));
  CHECK_ERRNO(flock(a_, LOCK_EX | LOCK_NB), EWOULDBLOCK);
  holder.Kill(SIGKILL);
  CHECK_EQ(holder.Wait(), 256 + SIGKILL);
  CHECK_OK(flock(a_, LOCK_EX | LOCK_NB));
}

TEST_F(FlockTest, SignalInterruptsTheWait) {
  CHECK_OK(flock(a_, LOCK_EX));
  Child waiter([&] {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    Fd mine(open("f", O_RDONLY));
    return Errno(flock(mine, LOCK_EX));
  });
  CHECK_TRUE(WaitBlockedIn(waiter.pid(), SYS_flock));
  CHECK_TRUE(WaitUntil([&] {
    waiter.Kill(SIGUSR1);
    return waiter.Ended();
  }));
  CHECK_EQ(waiter.Wait(), EINTR);
}

TEST_F(FlockTest, IndependentOfRecordLocks) {
  CHECK_OK(flock(a_, LOCK_EX | LOCK_NB));
  Child child([] {
    Fd fd(open("f", O_RDWR));
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    return Errno(fcntl(fd, F_SETLK, &lock));
  });
  CHECK_EQ(child.Wait(), 0);
}

TEST_F(FlockTest, LockFollowsTheFileAndNotItsName) {
  CHECK_OK(flock(a_, LOCK_EX | LOCK_NB));
  CHECK_OK(rename("f", "g"));
  Fd fd = OpenOk("g", O_RDONLY);
  CHECK_ERRNO(flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
  WriteFile("f", "another file");
  Fd other = OpenOk("f", O_RDONLY);
  CHECK_OK(flock(other, LOCK_EX | LOCK_NB));
  CHECK_OK(unlink("g"));
  CHECK_ERRNO(flock(fd, LOCK_SH | LOCK_NB), EWOULDBLOCK);
}

TEST_F(FlockTest, GuardsACounterOfSeveralProcesses) {
  constexpr int kProcesses = 4, kRounds = 50;
  WriteFile("counter", "0");
  auto codes = RunTogether(kProcesses, [](int) {
    for (int i = 0; i < kRounds; ++i) {
      Fd fd(open("counter", O_RDWR));
      if (flock(fd, LOCK_EX) != 0) return 1;
      std::string next = std::to_string(atoi(PreadAll(fd, 20, 0).c_str()) + 1);
      if (pwrite(fd, next.data(), next.size(), 0) < 0) return 2;
    }
    return 0;
  });
  for (int code : codes) CHECK_EQ(code, 0);
  CHECK_EQ(ReadFile("counter"), std::to_string(kProcesses * kRounds));
}

}  // namespace
}  // namespace kfs::posix_test

// Between the kernel and the client, for real: a mount served by a process of its own from memory. Needs
// /dev/fuse and root.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "fuse/session.h"
#include "tests/unit/fuse/memory_client.h"

namespace kfs::fuse {
namespace {

int ServeUntilUnmounted(const std::string& dir, int tell) {
  EventLoop loop;
  MemoryClient client;
  FileSystem fs(loop, client, {});
  Session session(loop, fs);
  int code = 3;
  loop.Post([&] {
    const Status s = session.Mount(
        dir, "subtype=kfs,fsname=memory,allow_other,dev,suid",
        [tell] {
          if (write(tell, "+", 1) != 1) _exit(4);
        },
        [&](Status why) {
          code = why.ok() ? 0 : 5;
          if (!why.ok()) std::fprintf(stderr, "the mount's end: %s\n", why.ToString().c_str());
          loop.Stop();
        });
    if (!s.ok()) loop.Stop();
  });
  loop.Run();
  return code;
}

class MountedTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) != 0) GTEST_SKIP() << "needs root and /dev/fuse";
    dir_ = std::filesystem::temp_directory_path() / "kfs-mounted-XXXXXX";
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    int fds[2];
    ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
    server_ = fork();
    if (server_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(fds[0]);
      _exit(ServeUntilUnmounted(dir_, fds[1]));
    }
    close(fds[1]);
    char c = 0;
    ASSERT_EQ(read(fds[0], &c, 1), 1) << "the mount did not come up";
    close(fds[0]);
  }
  void TearDown() override {
    if (server_ <= 0) return;
    // Lazily only where a test failed to close something.
    if (umount2(dir_.c_str(), 0) != 0) {
      ADD_FAILURE() << "umount: " << strerror(errno);
      umount2(dir_.c_str(), MNT_DETACH);
      kill(server_, SIGKILL);
    }
    int status = 0;
    waitpid(server_, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << (WIFSIGNALED(status) ? "killed by signal " + std::to_string(WTERMSIG(status))
                                : "exit code " + std::to_string(WEXITSTATUS(status)))
        << " of the serving process, which has said why";
    rmdir(dir_.c_str());
  }
  std::string At(const std::string& name) const { return dir_ + "/" + name; }
  void Put(const std::string& name, const std::string& data) {
    const int fd = open(At(name).c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
    ASSERT_GE(fd, 0) << strerror(errno);
    ASSERT_EQ(write(fd, data.data(), data.size()), static_cast<ssize_t>(data.size()));
    ASSERT_EQ(close(fd), 0);
  }
  std::string Get(const std::string& name) {
    std::ifstream in(At(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // A child's exit code; `fn` must not use gtest.
  static int InChild(const std::function<int()>& fn) {
    const pid_t pid = fork();
    if (pid == 0) _exit(fn());
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  std::string dir_;
  pid_t server_ = 0;
};

TEST_F(MountedTest, SmallAndLargeWritesArriveWhole) {
  for (size_t size : {1ul, 4096ul, 65536ul, 65537ul, 1048576ul, 3000001ul}) {
    std::string data(size, '\0');
    for (size_t i = 0; i < size; ++i) data[i] = static_cast<char>(i * 7 + i / 4096);
    Put("f", data);
    EXPECT_TRUE(Get("f") == data) << size;
  }
}

// What the client says to be valid for an hour (names that begin with "kept") the kernel does not ask for
// again; what is valid for no time it asks for each time.
TEST_F(MountedTest, TheKernelKeepsAnEntryForAsLongAsItIsValid) {
  const auto lookups = [&](const std::string& name) {
    char text[32] = {};
    EXPECT_GT(getxattr(dir_.c_str(), ("user.lookups." + name).c_str(), text, sizeof text - 1), 0);
    return std::atoi(text);
  };
  for (const std::string name : {"kept", "asked"}) {
    Put(name, "x");
    struct stat st;
    ASSERT_EQ(stat(At(name).c_str(), &st), 0);
    const int before = lookups(name);
    for (int i = 0; i < 5; ++i) ASSERT_EQ(stat(At(name).c_str(), &st), 0);
    EXPECT_EQ(lookups(name) - before, name == "kept" ? 0 : 5) << name;
  }
}

TEST_F(MountedTest, AppendIgnoresTheKernelsOffsetAndFollowsFcntl) {
  Put("f", "abc");
  const int fd = open(At("f").c_str(), O_WRONLY);
  ASSERT_EQ(fcntl(fd, F_SETFL, O_APPEND), 0);
  EXPECT_EQ(write(fd, "de", 2), 2);
  ASSERT_EQ(fcntl(fd, F_SETFL, 0), 0);
  EXPECT_EQ(pwrite(fd, "X", 1, 0), 1);
  close(fd);
  EXPECT_EQ(Get("f"), "Xbcde");
}

TEST_F(MountedTest, SharedWritableMappingsWork) {
  Put("f", std::string(8192, 'a'));
  const int fd = open(At("f").c_str(), O_RDWR);
  char* map = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  ASSERT_NE(map, MAP_FAILED) << strerror(errno);
  map[5000] = 'Z';
  char c = 0;
  EXPECT_EQ(pread(fd, &c, 1, 5000), 1);
  EXPECT_EQ(c, 'Z') << "a read does not see what a mapping wrote";
  EXPECT_EQ(pwrite(fd, "Y", 1, 5001), 1);
  EXPECT_EQ(map[5001], 'Y') << "a mapping does not see what was written";
  EXPECT_EQ(msync(map, 8192, MS_SYNC), 0);
  munmap(map, 8192);
  close(fd);
  EXPECT_EQ(Get("f").size(), 8192u);
  EXPECT_EQ(Get("f").substr(5000, 2), "ZY");
}

TEST_F(MountedTest, SeekFindsWhatAMappingWrote) {
  Put("f", std::string(16384, '\0'));
  const int fd = open(At("f").c_str(), O_RDWR);
  EXPECT_EQ(lseek(fd, 0, SEEK_DATA), -1);
  EXPECT_EQ(errno, ENXIO);
  char* map = static_cast<char*>(mmap(nullptr, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  ASSERT_NE(map, MAP_FAILED);
  map[9000] = 'Z';
  EXPECT_EQ(lseek(fd, 0, SEEK_DATA), 9000);
  map[5000] = 'Z';
  EXPECT_EQ(lseek(fd, 0, SEEK_DATA), 5000);
  munmap(map, 16384);
  close(fd);
}

TEST_F(MountedTest, TmpfileIsBornWithoutANameAndCanBeGivenOne) {
  const int fd = open(dir_.c_str(), O_TMPFILE | O_RDWR, 0600);
  ASSERT_GE(fd, 0) << strerror(errno);
  struct stat st;
  ASSERT_EQ(fstat(fd, &st), 0);
  EXPECT_EQ(st.st_nlink, 0u);
  EXPECT_EQ(write(fd, "hello", 5), 5);
  EXPECT_EQ(linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd)).c_str(), AT_FDCWD, At("named").c_str(),
                   AT_SYMLINK_FOLLOW),
            0)
      << strerror(errno);
  close(fd);
  EXPECT_EQ(Get("named"), "hello");
}

TEST_F(MountedTest, ARemovedWorkingDirectoryIsDescribedWithoutLinks) {
  ASSERT_EQ(mkdir(At("d").c_str(), 0755), 0);
  EXPECT_EQ(InChild([this] {
              if (chdir(At("d").c_str()) != 0) return 1;
              if (rmdir(At("d").c_str()) != 0) return 2;
              struct stat st;
              if (stat(".", &st) != 0) return 3;
              if (st.st_nlink != 0 || (st.st_mode & 07777) != 0755) return 4;
              DIR* dir = opendir(".");
              if (dir == nullptr) return 5;
              if (readdir(dir) != nullptr) return 6;
              if (open("f", O_CREAT | O_WRONLY, 0600) >= 0 || errno != ENOENT) return 7;
              if (access("f", F_OK) == 0 || errno != ENOENT) return 8;
              return 0;
            }),
            0);
}

TEST_F(MountedTest, AnOPathDescriptorOutlivesTheName) {
  Put("f", "abc");
  const int fd = open(At("f").c_str(), O_PATH);
  ASSERT_EQ(unlink(At("f").c_str()), 0);
  struct stat st;
  ASSERT_EQ(fstat(fd, &st), 0) << strerror(errno);
  EXPECT_EQ(st.st_nlink, 0u);
  EXPECT_EQ(st.st_size, 3);
  close(fd);
}

TEST_F(MountedTest, ReaddirSeekAndRewind) {
  std::set<std::string> expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string name = "some-name-of-a-file-" + std::to_string(i);
    Put(name, "");
    expected.insert(name);
  }
  DIR* dir = opendir(dir_.c_str());
  ASSERT_NE(dir, nullptr);
  std::set<std::string> seen;
  long half = 0;
  std::string after_half;
  while (dirent* e = readdir(dir)) {
    if (half != 0 && after_half.empty()) after_half = e->d_name;
    EXPECT_TRUE(seen.insert(e->d_name).second) << e->d_name << " twice";
    if (seen.size() == 1500) half = telldir(dir);
  }
  EXPECT_EQ(seen, expected);
  seekdir(dir, half);
  EXPECT_EQ(readdir(dir)->d_name, after_half);
  Put("aaa-first", "");
  rewinddir(dir);
  EXPECT_STREQ(readdir(dir)->d_name, "aaa-first");
  closedir(dir);
}

TEST_F(MountedTest, SupplementaryGroupsAreAskedForWhenTheyMatter) {
  ASSERT_EQ(mkdir(At("d").c_str(), 0755), 0);
  ASSERT_EQ(chmod(At("d").c_str(), 0705), 0);
  const auto try_as = [this](gid_t group) {
    return InChild([&] {
      if (setgroups(1, &group) != 0 || setgid(1000) != 0 || setuid(1000) != 0) return 100;
      return open(At("d").c_str(), O_RDONLY | O_DIRECTORY) >= 0 ? 0 : errno;
    });
  };
  EXPECT_EQ(try_as(4242), 0);
  EXPECT_EQ(try_as(4243), EACCES);
}

TEST_F(MountedTest, FifosSocketsAndDevicesAreGuardedByTheirBits) {
  ASSERT_EQ(mkfifo(At("p").c_str(), 0600), 0);
  const auto open_as = [this](uid_t uid) {
    return InChild([&] {
      if (uid != 0 && (setgroups(0, nullptr) != 0 || setgid(uid) != 0 || setuid(uid) != 0)) return 100;
      return open(At("p").c_str(), O_RDONLY | O_NONBLOCK) >= 0 ? 0 : errno;
    });
  };
  EXPECT_EQ(open_as(0), 0);
  EXPECT_EQ(open_as(1000), EACCES);
}

TEST_F(MountedTest, SetuidGoesWhenAnUnprivilegedUserWrites) {
  Put("f", "abc");
  ASSERT_EQ(chmod(At("f").c_str(), 06777), 0);
  const auto write_as = [this](uid_t uid) {
    return InChild([&] {
      if (uid != 0 && (setgroups(0, nullptr) != 0 || setgid(uid) != 0 || setuid(uid) != 0)) return 100;
      const int fd = open(At("f").c_str(), O_WRONLY);
      return write(fd, "x", 1) == 1 ? 0 : errno;
    });
  };
  struct stat st;
  EXPECT_EQ(write_as(0), 0);
  stat(At("f").c_str(), &st);
  EXPECT_EQ(st.st_mode & 07777, 06777u);
  EXPECT_EQ(write_as(1000), 0);
  stat(At("f").c_str(), &st);
  EXPECT_EQ(st.st_mode & 07777, 0777u);
}

TEST_F(MountedTest, TheUmaskIsTheServersBusiness) {
  umask(027);
  Put("f", "");
  umask(022);
  struct stat st;
  stat(At("f").c_str(), &st);
  EXPECT_EQ(st.st_mode & 0777, 0640u);
}

// A child in `fn`, which does not end by itself but stays in a system call.
class Blocked {
 public:
  Blocked(long syscall, const std::function<int()>& fn) {
    int fds[2];
    if (pipe(fds) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      struct sigaction action = {};
      action.sa_handler = [](int) {};  // no SA_RESTART
      sigaction(SIGUSR1, &action, nullptr);
      if (write(fds[1], "+", 1) != 1) _exit(9);
      _exit(fn());
    }
    char c;
    if (read(fds[0], &c, 1) != 1) abort();
    close(fds[0]);
    close(fds[1]);
    // Waits until it sleeps in that system call; the pause is between two looks.
    for (long number = -1; number != syscall; usleep(1000)) {
      std::ifstream in("/proc/" + std::to_string(pid_) + "/syscall");
      if (!(in >> number)) number = -1;  // "running"
    }
  }
  void Signal(int number) { kill(pid_, number); }
  // Exit code, 1000 + signal, or -1 when it does not end within `ms`.
  int Wait(int ms) {
    for (int i = 0; i < ms; ++i, usleep(1000)) {  // the pause is between two looks
      int status;
      if (waitpid(pid_, &status, WNOHANG) == pid_)
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    return -1;
  }

 private:
  pid_t pid_;
};

TEST_F(MountedTest, AWaitingLockEndsWithAnySignal) {
  Put("f", "");
  Blocked child(SYS_flock, [this] {
    const int fd = open(At("f").c_str(), O_RDWR);
    return flock(fd, LOCK_EX) == 0 ? 0 : errno;
  });
  EXPECT_EQ(child.Wait(50), -1);
  child.Signal(SIGUSR1);
  EXPECT_EQ(child.Wait(2000), EINTR);
}

TEST_F(MountedTest, AStuckReadSurvivesASignalAndDiesOfAKill) {
  Put("f", "hang");
  Blocked child(SYS_read, [this] {
    const int fd = open(At("f").c_str(), O_RDONLY);
    char c;
    return read(fd, &c, 1) == 1 ? 0 : errno;
  });
  child.Signal(SIGUSR1);
  EXPECT_EQ(child.Wait(300), -1);
  child.Signal(SIGKILL);
  EXPECT_EQ(child.Wait(1000), 1000 + SIGKILL);
}

TEST_F(MountedTest, AServerWithoutAnOpDoesNotSwitchItOff) {
  Put("f", "");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(rename(At("f").c_str(), At("g").c_str()), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
  }
}

TEST_F(MountedTest, XattrSizes) {
  Put("f", "");
  char value[8];
  EXPECT_EQ(getxattr(At("f").c_str(), "user.size5", nullptr, 0), 5);
  EXPECT_EQ(getxattr(At("f").c_str(), "user.size5", value, 8), 5);
  EXPECT_EQ(getxattr(At("f").c_str(), "user.size5", value, 4), -1);
  EXPECT_EQ(errno, ERANGE);
  EXPECT_EQ(listxattr(At("f").c_str(), nullptr, 0), 14);
}

TEST_F(MountedTest, CopyFileRangeFallsBackToTheOpcodeWeKnow) {
  Put("a", "hello world");
  Put("b", "");
  const int from = open(At("a").c_str(), O_RDONLY), to = open(At("b").c_str(), O_WRONLY);
  EXPECT_EQ(copy_file_range(from, nullptr, to, nullptr, 11, 0), 11) << strerror(errno);
  close(from);
  close(to);
  EXPECT_EQ(Get("b"), "hello world");
}

TEST_F(MountedTest, StatfsAndTimes) {
  struct statvfs st;
  ASSERT_EQ(statvfs(dir_.c_str(), &st), 0);
  EXPECT_EQ(st.f_blocks * st.f_frsize, 1u << 30);
  EXPECT_EQ(st.f_bavail * st.f_frsize, 1u << 28);
  EXPECT_EQ(st.f_namemax, 255u);
}

}  // namespace
}  // namespace kfs::fuse

// Running programs and scripts that lie on the file system under test.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class ExecTest : public PosixTest {
 protected:
  // Copies a system program here.
  static void Install(const char* program, const char* name, mode_t mode = 0755) {
    WriteFile(name, ReadFile(program));
    CHECK_OK(chmod(name, mode));
  }
  // The exit code, or 200 + the errno of a refused exec.
  static int Run(std::vector<std::string> arguments) {
    Child child([&] {
      std::vector<char*> argv;
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      return 200 + errno;
    });
    return child.Wait();
  }
};

TEST_F(ExecTest, ProgramRuns) {
  Install("/bin/true", "yes");
  Install("/bin/false", "no");
  CHECK_EQ(Run({"./yes"}), 0);
  CHECK_EQ(Run({"./no"}), 1);
  CHECK_OK(symlink("no", "link"));
  CHECK_EQ(Run({"./link"}), 1);
}

TEST_F(ExecTest, ScriptRunsWithItsInterpreter) {
  WriteFile("script", "#!/bin/sh\nexit 42\n", 0755);
  CHECK_EQ(Run({"./script"}), 42);
  Install("/bin/sh", "shell");
  WriteFile("script2", "#!" + Path("shell") + "\nexit $1\n", 0755);
  CHECK_EQ(Run({"./script2", "17"}), 17);
  WriteFile("bad", "#!/none/such\n", 0755);
  CHECK_EQ(Run({"./bad"}), 200 + ENOENT);
}

TEST_F(ExecTest, PermissionAndFormatAreChecked) {
  Install("/bin/true", "program", 0644);
  CHECK_EQ(Run({"./program"}), 200 + EACCES);
  CHECK_EQ(Run({"./missing"}), 200 + ENOENT);
  CHECK_OK(mkdir("d", 0755));
  CHECK_EQ(Run({"./d"}), 200 + EACCES);
  WriteFile("data", "\x01\x02\x03\x04 no program", 0755);
  CHECK_EQ(Run({"./data"}), 200 + ENOEXEC);
}

TEST_F(ExecTest, OtherUsersNeedTheirExecuteBit) {
  NEEDS_ROOT();
  Install("/bin/true", "program", 0744);
  auto RunAs = [](const User& user) {
    return AsUser(user, [] {
      execl("./program", "program", nullptr);
      return 200 + errno;
    });
  };
  CHECK_EQ(RunAs(kNobody), 200 + EACCES);
  CHECK_OK(chmod("program", 0711));  // executable without being readable
  CHECK_EQ(RunAs(kNobody), 0);
  CHECK_ERRNO_AS(kNobody, open("program", O_RDONLY), EACCES);
}

TEST_F(ExecTest, SetuidProgramRunsAsItsOwner) {
  NEEDS_ROOT();
  Install("/usr/bin/id", "id");
  CHECK_OK(chown("id", kAlice.uid, kAlice.gid));
  CHECK_OK(chmod("id", 04755));
  CHECK_OK(mkdir("out", 0777));
  CHECK_OK(chmod("out", 0777));
  AsUser(kBob, [] {
    int fd = open("out/id", O_WRONLY | O_CREAT, 0644);
    dup2(fd, 1);
    execl("./id", "id", "-u", nullptr);
    return errno;
  });
  std::string uid = ReadFile("out/id");
  if (uid == std::to_string(kBob.uid) + "\n") GTEST_SKIP() << "mounted with nosuid";
  CHECK_EQ(uid, std::to_string(kAlice.uid) + "\n");
}

TEST_F(ExecTest, FileOpenForWritingIsBusy) {
  Install("/bin/true", "program");
  Fd fd = OpenOk("program", O_WRONLY);
  int code = Run({"./program"});
  CHECK_TRUE(code == 200 + ETXTBSY || code == 0);
  fd.Close();
  CHECK_EQ(Run({"./program"}), 0);
}

TEST_F(ExecTest, RunningProgramCanBeReplaced) {
  Install("/bin/sleep", "program");
  Child running([] {
    execl("./program", "program", "1000", nullptr);
    return errno;
  });
  std::string exe = "/proc/" + std::to_string(running.pid()) + "/exe";
  CHECK_TRUE(WaitUntil([&] {
    char target[4096] = {};
    return readlink(exe.c_str(), target, sizeof target - 1) > 0 && Path("program") == target;
  }));
  CHECK_ERRNO(open("program", O_WRONLY), ETXTBSY, 0);  // newer kernels may allow it
  Install("/bin/true", "next");
  CHECK_OK(rename("next", "program"));
  CHECK_EQ(Run({"./program"}), 0);
  CHECK_FALSE(running.Ended());
  running.Kill(SIGKILL);
  CHECK_EQ(running.Wait(), 256 + SIGKILL);
}

TEST_F(ExecTest, DescriptorCanBeExecuted) {
  Install("/bin/false", "program");
  Fd fd = OpenOk("program", O_RDONLY);
  CHECK_OK(unlink("program"));
  Child child([&] {
    char* argv[] = {const_cast<char*>("program"), nullptr};
    fexecve(fd, argv, environ);
    return 200 + errno;
  });
  CHECK_EQ(child.Wait(), 1);
}

}  // namespace
}  // namespace kfs::posix_test

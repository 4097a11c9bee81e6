// kfs-posix-tests: runs every test in a process and a scratch directory of its own, on the file system of
// --dir.
//
//   kfs-posix-tests --dir DIR [--filter GLOB[:GLOB]...] [--results FILE] [--timeout-s N] [--list]
//
// The supervisor forks one child per test, waits for it with a limit, kills what is left of its process group
// and removes its directory. A test that hangs, crashes or leaves a directory that cannot be removed has
// failed.
#include <fnmatch.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

struct Options {
  std::string dir;
  std::string filter = "*";
  std::string results;
  int timeout_s = 60;
  bool list = false;
};

// Prints failures and keeps the reason of a skip; the supervisor prints the rest.
class Reporter : public ::testing::EmptyTestEventListener {
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (result.skipped()) {
      snprintf(PosixEnv::shared->reason, sizeof(PosixEnv::shared->reason), "%s", result.message());
      for (char* c = PosixEnv::shared->reason; *c != '\0'; ++c) {
        if (*c == '\n' || *c == '\t') *c = ' ';
      }
    } else if (result.failed()) {
      const char* file = result.file_name() != nullptr ? result.file_name() : "?";
      const char* slash = strrchr(file, '/');
      printf("  %s:%d: %s\n", slash != nullptr ? slash + 1 : file, result.line_number(), result.message());
      fflush(stdout);
    }
  }
  void OnTestEnd(const ::testing::TestInfo& info) override {
    int outcome = info.result()->Failed() ? kFailed : info.result()->Skipped() ? kSkipped : kPassed;
    PosixEnv::shared->outcome = outcome;
  }
};

bool Matches(const std::string& name, const std::string& filter) {
  size_t begin = 0;
  while (begin <= filter.size()) {
    size_t end = std::min(filter.find(':', begin), filter.size());
    if (fnmatch(filter.substr(begin, end - begin).c_str(), name.c_str(), 0) == 0) return true;
    begin = end + 1;
  }
  return false;
}

std::vector<std::string> TestNames(const std::string& filter) {
  std::vector<std::string> names;
  auto* unit = ::testing::UnitTest::GetInstance();
  for (int s = 0; s < unit->total_test_suite_count(); ++s) {
    const auto* suite = unit->GetTestSuite(s);
    for (int t = 0; t < suite->total_test_count(); ++t) {
      std::string name = std::string(suite->name()) + "." + suite->GetTestInfo(t)->name();
      if (Matches(name, filter)) names.push_back(name);
    }
  }
  return names;
}

bool WaitForEnd(int pidfd, int limit_ms) {
  pollfd entry = {pidfd, POLLIN, 0};
  int ready = 0;
  while ((ready = poll(&entry, 1, limit_ms)) < 0 && errno == EINTR) {
  }
  return ready == 1;
}

[[noreturn]] void RunInChild(const std::string& name) {
  setpgid(0, 0);
  ::testing::GTEST_FLAG(filter) = name;
  auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new Reporter);
  int code = RUN_ALL_TESTS();
  fflush(stdout);
  _exit(code);
}

// Runs one test; says what became of it and leaves its outcome in PosixEnv::shared.
int RunTest(const std::string& name, int timeout_s) {
  PosixEnv::shared->outcome = kNotRun;
  PosixEnv::shared->reason[0] = '\0';
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) RunInChild(name);
  setpgid(pid, pid);  // whichever of the two comes first
  Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  bool ended = WaitForEnd(pidfd, timeout_s * 1000);
  kill(-pid, SIGKILL);
  if (!ended) {
    printf("  did not finish within %d s\n", timeout_s);
    if (!WaitForEnd(pidfd, 5000)) {
      printf("  and process %d does not die of SIGKILL\n", pid);
      return kFailed;
    }
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (!ended) return kFailed;
  if (WIFSIGNALED(status)) {
    printf("  ended by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return kFailed;
  }
  int outcome = PosixEnv::shared->outcome;
  return outcome == kNotRun || (WEXITSTATUS(status) != 0 && outcome != kSkipped) ? kFailed : outcome;
}

Options ParseArguments(int argc, char** argv) {
  Options options;
  if (const char* dir = getenv("KFS_POSIX_DIR")) options.dir = dir;
  for (int i = 1; i < argc; ++i) {
    std::string arg = argv[i];
    size_t equals = arg.find('=');
    std::string key = arg.substr(0, equals);
    auto value = [&]() -> std::string {
      if (equals != std::string::npos) return arg.substr(equals + 1);
      if (i + 1 < argc) return argv[++i];
      fprintf(stderr, "kfs-posix-tests: %s needs a value\n", key.c_str());
      exit(2);
    };
    if (key == "--dir") {
      options.dir = value();
    } else if (key == "--filter" || key == "--gtest_filter") {
      options.filter = value();
    } else if (key == "--results") {
      options.results = value();
    } else if (key == "--timeout-s") {
      options.timeout_s = atoi(value().c_str());
    } else if (key == "--list") {
      options.list = true;
    } else {
      fprintf(stderr,
              "usage: kfs-posix-tests --dir DIR [--filter GLOB[:GLOB]...] [--results FILE] [--timeout-s N] "
              "[--list]\nDIR may also be given by KFS_POSIX_DIR.\n");
      exit(2);
    }
  }
  return options;
}

// The absolute name of a directory in which tests can work, or exits with words.
std::string UsableDirectory(const std::string& dir) {
  char resolved[PATH_MAX];
  struct stat st;
  if (dir.empty() || realpath(dir.c_str(), resolved) == nullptr || stat(resolved, &st) != 0 ||
      !S_ISDIR(st.st_mode)) {
    fprintf(stderr,
            "kfs-posix-tests: --dir '%s' is not a directory: name one on the file system under test\n",
            dir.c_str());
    exit(2);
  }
  if (geteuid() == 0 && AsUser(kNobody, [&] { return Errno(access(resolved, X_OK)); }) != 0) {
    fprintf(stderr,
            "kfs-posix-tests: other users cannot reach %s: give its parents mode 755 (and mount FUSE file "
            "systems "
            "with allow_other)\n",
            resolved);
    exit(2);
  }
  return resolved;
}

int RunAll(const Options& options) {
  FILE* results = options.results.empty() ? nullptr : fopen(options.results.c_str(), "we");
  if (!options.results.empty() && results == nullptr) {
    perror(options.results.c_str());
    return 2;
  }
  const std::string base = UsableDirectory(options.dir) + "/kfs-posix-" + std::to_string(getpid()) + "-";
  int counts[4] = {};
  int number = 0;
  for (const std::string& name : TestNames(options.filter)) {
    PosixEnv::scratch = base + std::to_string(++number);
    auto begin = std::chrono::steady_clock::now();
    int outcome = kFailed;
    if (mkdir(PosixEnv::scratch.c_str(), 0755) != 0 || chmod(PosixEnv::scratch.c_str(), 0755) != 0) {
      printf("  mkdir %s: %s\n", PosixEnv::scratch.c_str(), ErrnoName(errno).c_str());
    } else {
      outcome = RunTest(name, options.timeout_s);
      if (int error = RemoveTree(PosixEnv::scratch)) {
        printf("  %s cannot be removed: %s\n", PosixEnv::scratch.c_str(), ErrnoName(error).c_str());
        outcome = kFailed;
      }
    }
    auto elapsed =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    const char* word = outcome == kPassed ? "passed" : outcome == kSkipped ? "skipped" : "failed";
    const char* reason = outcome == kSkipped ? PosixEnv::shared->reason : "";
    printf("%-7s %s (%lld ms)%s%s\n", word, name.c_str(), static_cast<long long>(elapsed.count()),
           *reason != '\0' ? ": " : "", reason);
    fflush(stdout);
    if (results != nullptr) fprintf(results, "%s\t%s\t%s\n", word, name.c_str(), reason);
    counts[outcome]++;
  }
  if (results != nullptr) fclose(results);
  printf("assertions: %llu\n", static_cast<unsigned long long>(PosixEnv::shared->assertions.load()));
  printf("%d passed, %d failed, %d skipped\n", counts[kPassed], counts[kFailed], counts[kSkipped]);
  return counts[kFailed] == 0 && counts[kPassed] + counts[kSkipped] > 0 ? 0 : 1;
}

}  // namespace
}  // namespace kfs::posix_test

int main(int argc, char** argv) {
  using namespace kfs::posix_test;
  int gtest_argc = 1;
  ::testing::InitGoogleTest(&gtest_argc, argv);
  PosixEnv::shared = new (MapShared(sizeof(SharedState))) SharedState;
  Options options = ParseArguments(argc, argv);
  if (options.list) {
    for (const std::string& name : TestNames(options.filter)) puts(name.c_str());
    return 0;
  }
  return RunAll(options);
}

// kfs-fsx: random operations on a few files, each result compared with a model in memory.
// The parent makes the model in shared memory and forks the processes; the first that finds a difference ends
// the run.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <vector>

#include "options.h"
#include "shared_state.h"
#include "tester.h"

namespace {

using kfs::fsx::Options;

kfs::fsx::Tester* g_tester = nullptr;  // for the signal handler of this process only

void OnBusError(int, siginfo_t* info, void*) {
  g_tester->Fail("SIGBUS while a mapping inside the file's size was touched, address %p", info->si_addr);
}

void RunChild(const Options& options, kfs::fsx::SharedState& shared, uint32_t process, uint32_t features) {
  kfs::fsx::Tester tester(options, shared, process, features);
  g_tester = &tester;
  struct sigaction action = {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGBUS, &action, nullptr);
  tester.Run();
}

// Waits for all; a failure of one ends the others (they would wait for its mutex). Returns true if all
// succeeded.
bool WaitForAll(std::vector<pid_t> children) {
  bool good = true;
  for (size_t left = children.size(); left > 0; --left) {
    int status = 0;
    pid_t ended = wait(&status);
    if (ended < 0) return false;
    for (pid_t& child : children) {
      if (child == ended) child = 0;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    if (WIFSIGNALED(status) && good)
      std::fprintf(stderr, "kfs-fsx: a process ended by signal %d\n", WTERMSIG(status));
    good = false;
    for (pid_t child : children) {
      if (child != 0) kill(child, SIGKILL);
    }
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  Options options = kfs::fsx::ParseOptions(argc, argv);
  std::printf("kfs-fsx: seed %" PRIu64 " (repeat with: kfs-fsx %s)\n", options.seed,
              kfs::fsx::Describe(options).c_str());
  std::fflush(stdout);
  uint32_t features = kfs::fsx::ProbeFeatures(options.dirs[0], options);
  kfs::fsx::SharedState shared(options);
  std::vector<pid_t> children;
  for (uint32_t i = 0; i < options.processes; ++i) {
    pid_t child = fork();
    if (child == 0) {
      RunChild(options, shared, i, features);
      std::fflush(stdout);
      _exit(0);
    }
    if (child < 0) {
      std::perror("kfs-fsx: fork");
      for (pid_t other : children) kill(other, SIGKILL);
      return 1;
    }
    children.push_back(child);
  }
  bool good = WaitForAll(children);
  if (good) {
    for (uint32_t i = 0; i < options.files; ++i)
      unlink((options.dirs[0] + "/fsx." + std::to_string(i)).c_str());
    std::printf("kfs-fsx: %" PRIu64 " operations, no difference\n", shared.log().count());
  }
  return good ? 0 : 1;
}

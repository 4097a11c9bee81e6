// kfs-coherence DIR_A DIR_B: what one mount has done, the other sees at once (P2).
// DIR_A and DIR_B show the same directory through two mounts. Every case runs twice, with the roles
// exchanged.

#include "coherence.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

namespace {

using kfs::coherence::Case;
using kfs::coherence::Dirs;

constexpr int kCaseMs = 30'000;

// Runs a case in a process of its own: a call that hangs costs one case, not the run.
std::string RunCase(const Case& c, const Dirs& dirs) {
  int result_pipe[2];
  if (pipe2(result_pipe, O_CLOEXEC) != 0) return "pipe failed";
  std::fflush(stdout);
  pid_t child = fork();
  if (child < 0) return "fork failed";
  if (child == 0) {
    close(result_pipe[0]);
    std::string problem = c.run(dirs);
    std::string message = problem.empty() ? "+" : "-" + problem;
    _exit(write(result_pipe[1], message.data(), message.size()) < 0 ? 1 : 0);
  }
  close(result_pipe[1]);
  char buffer[4096];
  pollfd entry = {result_pipe[0], POLLIN, 0};
  ssize_t n = poll(&entry, 1, kCaseMs) == 1 ? read(result_pipe[0], buffer, sizeof buffer) : -1;
  close(result_pipe[0]);
  kill(child, SIGKILL);
  // A process stuck in the kernel would keep us here too: it is left behind then, and its case has failed.
  if (n > 0) waitpid(child, nullptr, 0);
  if (n < 0) return "no result within " + std::to_string(kCaseMs / 1000) + " s";
  if (n == 0) return "the case's process died";
  return buffer[0] == '+' ? "" : std::string(buffer + 1, static_cast<size_t>(n - 1));
}

std::vector<Case> AllCases() {
  std::vector<Case> all;
  for (auto part :
       {kfs::coherence::NameCases(), kfs::coherence::DataCases(), kfs::coherence::AttributeCases(),
        kfs::coherence::LockCases(), kfs::coherence::RaceCases()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: kfs-coherence DIR_A DIR_B [PART-OF-A-CASE'S-NAME]\n");
    return 2;
  }
  const std::string filter = argc == 4 ? argv[3] : "";
  const std::string root = "/coherence." + std::to_string(getpid());
  umask(022);
  int passed = 0, failed = 0, number = 0;
  if (mkdir((argv[1] + root).c_str(), 0755) != 0) {
    std::fprintf(stderr, "kfs-coherence: cannot make a directory in %s: %s\n", argv[1], std::strerror(errno));
    return 1;
  }
  for (const Case& c : AllCases()) {
    if (std::string(c.name).find(filter) == std::string::npos) continue;
    for (bool back : {false, true}) {
      std::string dir = root + "/" + std::to_string(++number);
      Dirs dirs = {argv[back ? 2 : 1] + dir, argv[back ? 1 : 2] + dir};
      if (mkdir(dirs.a.c_str(), 0777) != 0 || chmod(dirs.a.c_str(), 0777) != 0) {
        std::fprintf(stderr, "kfs-coherence: mkdir %s: %s\n", dirs.a.c_str(), std::strerror(errno));
        return 1;
      }
      std::string problem = RunCase(c, dirs);
      if (!problem.empty())
        std::printf("FAIL %s (%s): %s\n", c.name, back ? "B to A" : "A to B", problem.c_str());
      ++(problem.empty() ? passed : failed);
    }
  }
  std::error_code ignored;
  std::filesystem::remove_all(argv[1] + root, ignored);
  std::printf("kfs-coherence: %d cases, each in both directions: %d passed, %d failed\n", number / 2, passed,
              failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

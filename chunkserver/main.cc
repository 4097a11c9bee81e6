// kfs-chunkserver: reads its options, runs the daemon until SIGTERM or SIGINT.
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "chunkserver/daemon.h"
#include "common/log.h"
#include "rpc/event_loop.h"

namespace kfs {
namespace {

constexpr char kVersion[] = "kfs-chunkserver 0.1.0";
constexpr char kHelp[] =
    "Usage: kfs-chunkserver [--config FILE] [--set NAME=VALUE]...\n"
    "Keeps the chunks of a KFS cluster on local disks and serves them. Runs in the foreground until "
    "SIGTERM.\n\n"
    "  --config FILE       read options from FILE (TOML)\n"
    "  --set NAME=VALUE    set an option; after the file, may be repeated\n"
    "  --sample-config     print a configuration file with every option explained\n"
    "  --version, --help\n\n"
    "Options, as in the file:\n\n";

int Usage(const std::string& what) {
  std::fprintf(stderr, "kfs-chunkserver: %s\nTry 'kfs-chunkserver --help'.\n", what.c_str());
  return 2;
}

int Fail(const Status& st, bool logs_to_file) {
  KFS_LOG(error, "start_failed reason=\"{}\"", st.ToString());
  if (logs_to_file) std::fprintf(stderr, "kfs-chunkserver: %s\n", st.ToString().c_str());
  return 1;
}

// -1: go on; else the exit code.
int ParseArguments(int argc, char** argv, ChunkserverOptions* options) {
  std::vector<std::string> pairs;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    auto value = [&](const char* name, std::string* out) {
      const std::string prefix = std::string(name) + "=";
      if (arg == name && i + 1 < argc) {
        *out = argv[++i];
        return true;
      }
      if (!arg.starts_with(prefix)) return false;
      *out = arg.substr(prefix.size());
      return true;
    };
    std::string text;
    if (arg == "--help" || arg == "-h") {
      std::printf("%s%s", kHelp, options->Sample("kfs-chunkserver").c_str());
      return 0;
    }
    if (arg == "--version") {
      std::printf("%s\n", kVersion);
      return 0;
    }
    if (arg == "--sample-config") {
      std::printf("%s", options->Sample("kfs-chunkserver").c_str());
      return 0;
    }
    if (value("--config", &text)) {
      if (Status st = options->LoadFile(text); !st.ok()) return Usage(st.ToString());
    } else if (value("--set", &text)) {
      pairs.push_back(text);
    } else {
      return Usage("unknown argument '" + arg + "'");
    }
  }
  for (const std::string& pair : pairs) {
    if (Status st = options->SetPair(pair); !st.ok()) return Usage(st.ToString());
  }
  return -1;
}

void PrepareProcess(const ChunkserverOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  // Buffers of 1 MiB come and go with every op: keep their pages instead of faulting them in each time.
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 128 << 20);
  mallopt(M_ARENA_MAX, 4);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    const auto needed = static_cast<rlim_t>(options.open_chunks_max()) * 2 + 512;
    if (limit.rlim_cur < needed) {
      KFS_LOG(warn,
              "limits.descriptors allowed={} wanted={} advice=\"raise LimitNOFILE or lower open-chunks-max\"",
              limit.rlim_cur, needed);
    }
  }
}

int Main(int argc, char** argv) {
  ChunkserverOptions options;
  if (int code = ParseArguments(argc, argv, &options); code >= 0) return code;
  if (Status st = InitLog("kfs-chunkserver", options.log_file(), options.log_level()); !st.ok()) {
    return Usage(st.ToString());
  }
  PrepareProcess(options);
  // Before any thread is started, so that signals come to the descriptor only.
  sigset_t signals;
  sigemptyset(&signals);
  for (int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, s);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const int signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);

  EventLoop loop;
  ChunkserverDaemon daemon(loop, options);
  std::unique_ptr<EventLoop::Watch> watch;
  loop.Post([&] {
    watch = loop.WatchReadable(signal_fd, [&] {
      signalfd_siginfo info{};
      while (read(signal_fd, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
        if (info.ssi_signo == SIGHUP) {
          ReopenLog();
          continue;
        }
        KFS_LOG(info, "stopping signal={}", strsignal(static_cast<int>(info.ssi_signo)));
        loop.Post([&] {  // not here: the watch is in use
          daemon.Stop();
          watch.reset();
          loop.Stop();
        });
        return;
      }
    });
  });
  if (Status st = daemon.Start(); !st.ok()) return Fail(st, !options.log_file().empty());
  loop.Run();
  close(signal_fd);
  KFS_LOG(info, "stopped");
  return 0;
}

}  // namespace
}  // namespace kfs

int main(int argc, char** argv) { return kfs::Main(argc, argv); }

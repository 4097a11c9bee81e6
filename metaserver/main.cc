// kfs-metaserver: reads its options, runs the metaserver until SIGTERM or SIGINT.
#include <malloc.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "common/log.h"
#include "metaserver/metaserver.h"

namespace kfs::meta {
namespace {

constexpr char kVersion[] = "kfs-metaserver 0.1.0";
constexpr char kHelp[] =
    "Usage: kfs-metaserver [--config FILE] [--set NAME=VALUE]...\n"
    "Keeps the names and attributes of KFS volumes and tells clients where the data is. Runs in the "
    "foreground until\n"
    "SIGTERM.\n\n"
    "  --config FILE       read options from FILE (TOML)\n"
    "  --set NAME=VALUE    set an option; after the file, may be repeated\n"
    "  --sample-config     print a configuration file with every option explained\n"
    "  --version, --help\n\n"
    "Options, as in the file:\n\n";

int Usage(const std::string& what) {
  std::fprintf(stderr, "kfs-metaserver: %s\nTry 'kfs-metaserver --help'.\n", what.c_str());
  return 2;
}

// -1: go on; else the exit code.
int ParseArguments(int argc, char** argv, MetaOptions* options) {
  std::vector<std::string> pairs;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    auto value = [&](const std::string& name, std::string* out) {
      if (arg == name && i + 1 < argc) {
        *out = argv[++i];
        return true;
      }
      if (!arg.starts_with(name + "=")) return false;
      *out = arg.substr(name.size() + 1);
      return true;
    };
    std::string text;
    if (arg == "--help" || arg == "-h") {
      std::printf("%s%s", kHelp, options->Sample("kfs-metaserver").c_str());
      return 0;
    }
    if (arg == "--version") {
      std::printf("%s\n", kVersion);
      return 0;
    }
    if (arg == "--sample-config") {
      std::printf("%s", options->Sample("kfs-metaserver").c_str());
      return 0;
    }
    if (value("--config", &text)) {
      if (Status s = options->LoadFile(text); !s.ok()) return Usage(s.ToString());
    } else if (value("--set", &text)) {
      pairs.push_back(text);
    } else {
      return Usage("unknown argument '" + arg + "'");
    }
  }
  for (const std::string& pair : pairs) {
    if (Status s = options->SetPair(pair); !s.ok()) return Usage(s.ToString());
  }
  return -1;
}

int Main(int argc, char** argv) {
  MetaOptions options;
  if (int code = ParseArguments(argc, argv, &options); code >= 0) return code;
  if (Status s = InitLog("kfs-metaserver", options.log_file(), options.log_level()); !s.ok())
    return Usage(s.ToString());
  signal(SIGPIPE, SIG_IGN);
  // Few threads allocate; many arenas would only hold freed memory back.
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  // Before any thread is started, so that signals come to the descriptor only.
  sigset_t signals;
  sigemptyset(&signals);
  for (int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, s);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const int signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);

  EventLoop loop;
  MetaServer server(loop, options);
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
          server.Stop();
          watch.reset();
          loop.Post([&] { loop.Stop(); });  // the tick between sends the last answers
        });
        return;
      }
    });
  });
  if (Status s = server.Start(); !s.ok()) {
    KFS_LOG(error, "start_failed reason=\"{}\"", s.ToString());
    if (!options.log_file().empty()) std::fprintf(stderr, "kfs-metaserver: %s\n", s.ToString().c_str());
    return 1;
  }
  loop.Run();
  server.Stop();
  close(signal_fd);
  KFS_LOG(info, "stopped");
  return 0;
}

}  // namespace
}  // namespace kfs::meta

int main(int argc, char** argv) { return kfs::meta::Main(argc, argv); }

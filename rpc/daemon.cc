#include "rpc/daemon.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "common/allocator.h"
#include "common/log.h"
#include "common/text_file.h"
#include "rpc/address.h"
#include "rpc/hello.h"
#include "rpc/service_manager.h"

namespace kfs {
namespace {

void Tell(std::string_view state) {
  if (Status s = TellServiceManager(state); !s.ok())
    KFS_LOG(warn, "service_manager.not_told state={} reason=\"{}\"", state, s.ToString());
}

int Usage(const DaemonProgram& program, const std::string& what) {
  std::fprintf(stderr, "%s: %s\nTry '%s --help'.\n", program.name.c_str(), what.c_str(),
               program.name.c_str());
  return 2;
}

// -1: go on; else the exit code.
int ParseArguments(int argc, char** argv, const DaemonProgram& program, DaemonOptions& options) {
  CLI::App app(program.purpose + " Runs in the foreground until SIGTERM.", program.name);
  std::string config;
  std::vector<std::string> pairs;
  bool sample = false;
  app.add_option("--config", config, "Read options from a file (TOML).")->type_name("FILE");
  app.add_option("--set", pairs, "Set an option; after the file, may be repeated.")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->take_all();
  app.add_flag("--sample-config", sample, "Print a configuration file with every option explained.");
  app.set_version_flag("--version", std::string(kSoftware));
  app.footer([&] { return "Options, as in the file:\n\n" + options.Sample(program.name); });
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& e) {
    return Usage(program, e.what());
  }
  if (sample) {
    std::printf("%s", options.Sample(program.name).c_str());
    return 0;
  }
  if (!config.empty()) {
    if (Status s = options.LoadFile(config); !s.ok()) return Usage(program, s.ToString());
  }
  for (const std::string& pair : pairs) {
    if (Status s = options.SetPair(pair); !s.ok()) return Usage(program, s.ToString());
  }
  if (Status s = options.Check(); !s.ok()) return Usage(program, s.message());
  return -1;
}

// The signals that a daemon minds, as events of its loop.
class Signals {
 public:
  // REQUIRES: no other thread runs yet, so that signals come to the descriptor only.
  Signals() {
    signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    for (int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, s);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  }
  ~Signals() {
    watch_.reset();
    close(fd_);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  void StopOnSignal(EventLoop& loop, Daemon& daemon) {
    loop.Post([this, &loop, &daemon] {
      watch_ = loop.WatchReadable(fd_, [this, &loop, &daemon] { Take(loop, daemon); });
    });
  }

 private:
  void Take(EventLoop& loop, Daemon& daemon) {
    signalfd_siginfo info{};
    while (read(fd_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
      if (info.ssi_signo == SIGHUP) {
        ReopenLog();
        continue;
      }
      KFS_LOG(info, "stopping signal={}", strsignal(static_cast<int>(info.ssi_signo)));
      Tell("STOPPING=1");
      loop.Post([this, &loop, &daemon] {  // not here: the watch is in use
        daemon.Stop();
        watch_.reset();
        loop.Post([&loop] { loop.Stop(); });  // the tick between sends the last answers
      });
      return;
    }
  }

  int fd_ = -1;
  std::unique_ptr<EventLoop::Watch> watch_;
};

}  // namespace

Status DaemonOptions::CheckListen(const std::string& option, const std::string& address) {
  const auto parsed = ParseNumericAddress(address, 0);
  if (parsed.ok()) return {};
  return Status(EINVAL, "option " + option + ": cannot listen on '" + address +
                            "': want a numeric address and a port (" + parsed.status().message() + ")");
}

Status DaemonOptions::CheckReachable(const std::string& option, const std::string& address,
                                     uint16_t default_port) {
  if (address.starts_with("unix:")) return {};
  std::string host;
  uint16_t port = 0;
  if (Status s = SplitAddress(address, default_port, &host, &port); !s.ok())
    return Status(EINVAL, "option " + option + ": " + s.message());
  if (port == 0) return Status(EINVAL, "option " + option + ": nobody can reach port 0 ('" + address + "')");
  return {};
}

void KeepToOneself() {
  umask(077);
  prctl(PR_SET_DUMPABLE, 0);
}

bool AskedToStop() {
  sigset_t pending;
  return sigpending(&pending) == 0 &&
         (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

Result<Credentials> ReadCredentials(const DaemonOptions& options) {
  Result<TlsMode> tls = ParseTlsMode(options.tls());
  if (!tls.ok()) return tls.status();
  Result<Credentials> read = Credentials::Read(options.secret_file());
  if (!read.ok()) return read.status();
  return read->With({.tls = *tls, .socket_dir = options.socket_dir()});
}

int RunDaemon(int argc, char** argv, const DaemonProgram& program, DaemonOptions& options,
              const std::function<std::unique_ptr<Daemon>(EventLoop&)>& make) {
  if (int code = ParseArguments(argc, argv, program, options); code >= 0) return code;
  KeepToOneself();
  if (Status s = InitLog(program.name, options.log_file(), options.log_level()); !s.ok())
    return Usage(program, s.ToString());
  EventLoop loop;
  Signals signals;
  const std::unique_ptr<Daemon> daemon = make(loop);
  signals.StopOnSignal(loop, *daemon);
  if (Status s = daemon->Start(); !s.ok() && AskedToStop()) {
    KFS_LOG(info, "stopped before it served reason=\"{}\"", s.ToString());
    return 0;
  } else if (!s.ok()) {
    KFS_LOG(error, "start_failed reason=\"{}\"", s.ToString());
    if (!options.log_file().empty())
      std::fprintf(stderr, "%s: %s\n", program.name.c_str(), s.ToString().c_str());
    return 1;
  }
  Tell("READY=1");
  ReturnFreedMemory();
  loop.Run();
  daemon->Stop();
  KFS_LOG(info, "stopped");
  return 0;
}

Status WriteAddressFile(const std::string& path, const std::string& address) {
  if (path.empty()) return {};
  // No secret, and for programs of other users.
  return WriteTextFile(path, address + '\n');
}

}  // namespace kfs

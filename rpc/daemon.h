// What the mains of the daemons share: options from the command line and a file, the log, signals, and the
// loop that runs until SIGTERM or SIGINT. SIGHUP opens the log anew.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/credentials.h"
#include "common/options.h"
#include "rpc/event_loop.h"

namespace kfs {

// The options that every daemon has; a daemon's own come after these.
struct DaemonOptions : OptionSet {
  Option<std::string> secret_file{
      this, "secret-file", "/etc/kfs/secret",
      "File with the cluster's secret, mode 0600. Whoever knows it may mount and "
      "administer. An invitation (kfs chunkserver invite) does for a chunkserver."};
  Option<std::string> tls{
      this, "tls", "required",
      "Links by TCP: required: TLS only. accept: TLS with those that have it, plain with the "
      "others (while a cluster goes over). off: plain only, open to whoever is in the network."};
  Option<std::string> socket_dir{
      this, "socket-dir", "/run/kfs",
      "Directory for the Unix sockets by which programs of this machine link. Empty: none."};
  Option<std::string> metrics_listen{this, "metrics-listen", "",
                                     "Address and port of /metrics (Prometheus). Empty: off."};
  Option<std::string> log_file{this, "log-file", "",
                               "File to log to. Empty: standard error. SIGHUP opens it anew."};
  Option<std::string> log_level{this, "log-level", "info", "trace, debug, info, warn, error or off."};
  Option<std::string> address_file{this, "address-file", "",
                                   "File that gets the address (HOST:PORT) once serving. Empty: none."};

  // Of all values together: EINVAL for what can never work on any machine, which ends the daemon with exit
  // code 2.
  virtual Status Check() const {
    return metrics_listen().empty() ? Status() : CheckListen(metrics_listen.name(), metrics_listen());
  }

  virtual ~DaemonOptions() = default;

 protected:
  // An address to listen on; one that others reach (port 0 `default_port`: it must be there).
  static Status CheckListen(const std::string& option, const std::string& address);
  static Status CheckReachable(const std::string& option, const std::string& address, uint16_t default_port);
};

// What the daemon links itself with: the secret file's key and the options above.
Result<Credentials> ReadCredentials(const DaemonOptions& options);

// One daemon, made on the main thread before the loop runs. The thread that runs the loop calls all of it.
class Daemon {
 public:
  virtual ~Daemon() = default;
  // Errors say what to mend.
  virtual Status Start() = 0;
  // Answers what is under way, makes everything durable. May be called twice.
  virtual void Stop() = 0;
};

// SIGTERM or SIGINT has come and is not minded yet: for what Start() waits for.
bool AskedToStop();

struct DaemonProgram {
  std::string name;     // kfs-metaserver
  std::string purpose;  // a sentence for --help
};

// The process ends with this when another one has its identity: a copy of its data directory runs, or it is
// one. Started again it would be the same, so that the units do not (deploy/systemd).
constexpr int kExitRunsTwice = 3;

// Whatever a process makes from now on is for its owner only, and its memory (keys, names, data) goes into no
// core dump and to no other process of its user.
void KeepToOneself();

// The whole of a daemon's main. The exit code: 0 stopped by a signal (or --help), 1 could not start, 2 wrong
// usage. `make` runs once, after options and log are set.
int RunDaemon(int argc, char** argv, const DaemonProgram& program, DaemonOptions& options,
              const std::function<std::unique_ptr<Daemon>(EventLoop&)>& make);

// Replaces the file in one step; who finds it finds it whole. An empty path: nothing.
Status WriteAddressFile(const std::string& path, const std::string& address);

}  // namespace kfs

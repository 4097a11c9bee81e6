// What every command of `kfs` shares: global options, exit codes, and how a command joins the command line.
// The texts given to CLI11 here are all there is: --help, the man pages and the checks come from them. One
// thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/status.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kfs::cli {

// Scripts may rely on these; docs/configuration.md lists them. `kfs mount` has those of mount(8) instead.
enum ExitCode : int {
  kOk = 0,
  kFailed = 1,          // it was tried and refused or did not work
  kUsage = 2,           // the command line, or a file of ours, is wrong; nothing was tried
  kUnreachable = 3,     // no metaserver answered, or it would not have us
  kNotFound = 4,        // no such volume, peer, chunkserver, ...
  kOutcomeUnknown = 5,  // a change was sent and may or may not have been made
};

// What a shell may complete a value with. kNothing: nothing is known of it.
enum class Names {
  kNothing,
  kVolume,
  kPeer,
  kChunkserver,
  kVolumeOption,
  kClusterOption,
  kTransaction,
  kFile
};

// Until a command says otherwise with --timeout.
constexpr double kReadTimeoutS = 5, kChangeTimeoutS = 20;

// Options that every command takes, and what the command line has chosen to run.
struct GlobalOptions {
  std::vector<std::string> metaservers;  // empty: see ResolveDefaults
  std::string secret_file;               // likewise
  std::string tls;                       // likewise; ParseTlsMode
  bool json = false;
  double timeout_s = 0;      // 0: the command's own
  bool log = false;          // the libraries log to stderr; commands tell their errors themselves
  std::string words;         // the command as typed, without the options above: "volume set data atime off"
  std::function<int()> run;  // set by the chosen command; gives the exit code
  std::map<const CLI::Option*, Names> names;  // of options and positionals; those that are missing: kNothing
};

// Fills what the command line left open: KFS_METASERVER, KFS_SECRET_FILE and KFS_TLS, then `file` (keys
// metaservers, secret-file, tls), then 127.0.0.1:7400, /etc/kfs/secret and required; kReadTimeoutS. Fails
// when the file is there and cannot be understood.
Status ResolveDefaults(GlobalOptions* options, const std::string& file = "/etc/kfs/client.toml");

// EINVAL for a metaserver's address that cannot be one.
Status CheckMetaservers(const GlobalOptions& options);

// How a command joins: `void AddXyzCommand(CLI::App& group, GlobalOptions& global)`, in a file of its own and
// named in command_list.h. Both stay valid until the command has run.

// The whole command line.
void BuildApp(CLI::App& app, GlobalOptions& global);
// Parses `args` (without the program's name) and runs the command that they name. Gives the exit code.
int RunCommandLine(CLI::App& app, GlobalOptions& global, const std::vector<std::string>& args);

}  // namespace kfs::cli

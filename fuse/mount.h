// Mounting: what `mount.kfs` and `kfs mount` share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/status.h"
#include "fuse/mount_flags.h"

namespace kfs {

struct MountOptions {
  std::string source;                    // as given: HOST[:PORT][,HOST[:PORT]...]:/VOLUME[/DIRECTORY]
  std::vector<std::string> metaservers;  // host:port each
  std::string volume;
  std::string path;  // of the directory in it, without slashes around it; empty: the whole volume
  std::string mountpoint;

  bool soft = false;
  Duration timeout = std::chrono::seconds(60);  // timeo, in tenths of a second when given
  std::string secret_file = "/etc/kfs/secret";
  std::string tls = "required";         // ParseTlsMode
  std::string socket_dir = "/run/kfs";  // LinkPolicy::socket_dir
  std::string log_file;                 // empty: none once in the background, stderr in the foreground
  std::string log_level = "info";
  std::string pid_file;
  std::string metrics;  // where /metrics and /healthz are: "unix:/path", "1.2.3.4:port"; empty: nowhere
  bool trace = false;
  bool foreground = false;  // set by the program, not by an option
  bool verbose = false;
  bool readdirplus = false;

  // For the kernel's side of the mount.
  bool allow_other = false, no_allow_other = false;  // on when root, unless refused
  fuse::MountFlags flags;
};

constexpr const char* kDefaultMetaserverPort = "7400";

// Pure. `options` as after -o, comma separated. Errors (EINVAL) say which part is not understood and what
// would be.
Result<MountOptions> ParseMountArgs(std::string_view source, std::string_view mountpoint,
                                    std::string_view options);

// The options in force that belong to the process which serves, "timeo=600" and so on, defaults included:
// what a remount cannot change. Each begins with the option's name.
std::vector<std::string> ServedOptions(const MountOptions& options);
// An attribute of the mount's root that its process answers itself: ServedOptions, comma separated.
constexpr const char* kMountXattr = "system.kfs.mount";

// The words of a comma separated list.
std::vector<std::string> SplitOptions(std::string_view options);
// Whether "remount" is among the options: then Remount() is meant.
bool IsRemount(std::string_view options);
// `mount -o remount,...`: gives the kernel what it keeps, and refuses in words (on stderr) what cannot be
// changed while it is mounted. Exit codes as of RunMount.
int Remount(const std::string& mountpoint, std::string_view options);

// Connects, mounts, and serves until unmounted. Unless `foreground`, the caller's process returns as soon as
// the mount is usable, and a child serves. Returns an exit code: 0; 1 when it was called wrongly or may not;
// 32 when mounting failed. The reason is on stderr. Call it with a single thread.
int RunMount(const MountOptions& options);

}  // namespace kfs

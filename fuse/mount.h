// Mounting: what `mount.kfs` and `kfs mount` share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/status.h"

namespace kfs {

struct MountOptions {
  std::string source;                    // as given: HOST[:PORT][,HOST[:PORT]...]:/VOLUME
  std::vector<std::string> metaservers;  // host:port each
  std::string volume;
  std::string mountpoint;

  bool soft = false;
  Duration timeout = std::chrono::seconds(60);  // timeo, in tenths of a second when given
  std::string secret_file = "/etc/kfs/secret";
  std::string tls = "required";         // ParseTlsMode
  std::string socket_dir = "/run/kfs";  // LinkPolicy::socket_dir
  std::string log_file;                 // empty: none once in the background, stderr in the foreground
  std::string log_level = "info";
  std::string pid_file;
  bool trace = false;
  bool foreground = false;  // set by the program, not by an option
  bool verbose = false;
  bool readdirplus = false;

  // For the kernel's side of the mount.
  bool allow_other = false, no_allow_other = false;  // on when root, unless refused
  bool read_only = false;
  std::vector<std::string> kernel_options;  // nodev, nosuid, noexec, noatime, ...
};

constexpr const char* kDefaultMetaserverPort = "7400";

// Pure. `options` as after -o, comma separated. Errors (EINVAL) say which part is not understood and what
// would be.
Result<MountOptions> ParseMountArgs(std::string_view source, std::string_view mountpoint,
                                    std::string_view options);

// Connects, mounts, and serves until unmounted. Unless `foreground`, the caller's process returns as soon as
// the mount is usable, and a child serves. Returns an exit code: 0; 1 when it was called wrongly or may not;
// 32 when mounting failed. The reason is on stderr. Call it with a single thread.
int RunMount(const MountOptions& options);

}  // namespace kfs

// The KFS mounts that this process can see, with the options in force: those of the kernel, which a remount
// changes, and those of the process that serves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/status.h"

namespace kfs::cli {

struct LocalMount {
  std::string mountpoint, source;
  std::string options;  // comma separated; those of the process are missing when it does not tell
  Status told;          // whether it does; ETIMEDOUT: it has not answered in time
  std::string shown;    // all that the kernel shows, "max_read=" and "user_id=" among them
  std::string device;   // "0:52"
};

// `mountinfo`: the text of /proc/self/mountinfo. Asks each mount, and waits a second for its answer at most:
// a process that hangs must not hang who wants to know. Blocks.
std::vector<LocalMount> LocalMounts(const std::string& mountinfo);
std::vector<LocalMount> LocalMounts();

// Of a directory, as /proc/self/mountinfo has it. The mount itself is not touched: its servers may be away.
std::string MountPointOf(const std::string& directory);

}  // namespace kfs::cli

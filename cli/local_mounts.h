// The KFS mounts that this process can see, with the options in force: those of the kernel, which a remount
// changes, and those of the process that serves.
#pragma once

#include <string>
#include <vector>

namespace kfs::cli {

struct LocalMount {
  std::string mountpoint, source;
  std::string options;  // comma separated; those of the process are missing when it does not tell
};

// `mountinfo`: the text of /proc/self/mountinfo. Asks each mount, and waits a second for its answer at most:
// a process that hangs must not hang who wants to know. Blocks.
std::vector<LocalMount> LocalMounts(const std::string& mountinfo);
std::vector<LocalMount> LocalMounts();

}  // namespace kfs::cli

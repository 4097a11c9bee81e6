// Who makes a request: which process its pid means. It means none that /proc shows when the caller is outside
// the PID namespace of the mount's process (pid 0), or when /proc is that of another PID namespace.
#pragma once

#include <cstdint>
#include <string>

namespace kfs::fuse {

class Callers {
 public:
  // `proc`: where procfs is mounted. Make it in the process that serves: it looks whose PIDs /proc shows.
  explicit Callers(const std::string& proc = "/proc");

  // Whether /proc/<pid> is the process that a request names so.
  bool Sees(uint32_t pid) const { return proc_is_ours_ && pid != 0; }

 private:
  bool proc_is_ours_ = false;
};

// Pure: whether the text of /proc/self/status was read in the PID namespace in which the process is `pid`.
bool ShowsOwnPids(const std::string& self_status, int pid);

}  // namespace kfs::fuse

// Who makes a request, beyond the uid and gid that it carries: supplementary groups and capabilities, read
// from /proc when a server says that they matter.
//
// Some callers cannot be known that way: the mount's process runs in a PID namespace of its own and the
// caller does not (pid 0), /proc is another PID namespace's, or the kernel acts with other credentials than
// its task's own (an NFS server's threads, overlayfs). The kernel has checked their rights all the same, with
// the very credentials that count (POSIX_ACL switches its checks on): for them its word is passed on
// (Caller::kernel_checked).
#pragma once

#include <optional>
#include <string>

#include "client/kfs_client.h"

namespace kfs::fuse {

class Callers {
 public:
  // `proc`: where procfs is mounted. Make it in the process that serves: it looks whose PIDs /proc shows.
  explicit Callers(std::string proc = "/proc");

  // Whether /proc/<pid> is the process that a request names so.
  bool Sees(uint32_t pid) const { return proc_is_ours_ && pid != 0; }
  // Fills in what is known only here. `owner`: who the kernel believes to be the owner of the request's
  // inode.
  void Complete(Caller* caller, std::optional<uint32_t> owner) const;

 private:
  const std::string proc_;
  bool proc_is_ours_ = false;
};

// ---- pure
// Groups and capabilities from the text of /proc/<tid>/status. False when it is not that of who asked: other
// credentials, a kernel thread, a process that ends.
bool TakeFromStatus(const std::string& status, Caller* caller);
// Whether the text of /proc/self/status was read in the PID namespace in which the process has the number
// `pid`.
bool ShowsOwnPids(const std::string& self_status, int pid);
// The outer ids of a uid_map or gid_map, as pairs (first, count).
std::vector<uint32_t> MappedRanges(const std::string& id_map);

}  // namespace kfs::fuse

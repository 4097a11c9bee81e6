// mount -o remount: what the kernel keeps of a mount can be changed while it is used; the rest belongs to the
// process that serves it, and stays.
#include <sys/mount.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "fuse/mount.h"
#include "fuse/mount_flags.h"

namespace kfs {
namespace {

constexpr int kRemountUsage = 1, kExitMountFailed = 32;

struct Wanted {
  fuse::MountFlags flags;
  bool bind = false;                // of this mount alone, not of the file system
  std::vector<std::string> served;  // options of the process that serves it
};

bool IsOfAccessTimes(const std::string& option) {
  static constexpr std::string_view kNames[] = {"noatime",       "atime",       "relatime",   "norelatime",
                                                "nostrictatime", "strictatime", "nodiratime", "diratime"};
  return std::ranges::count(kNames, option) != 0;
}

Wanted Sort(const fuse::MountEntry& now, std::string_view options) {
  Wanted wanted;
  const std::vector<std::string> words = SplitOptions(options), shown = SplitOptions(now.options);
  // As for any file system: access times stay as they are unless something is said of them.
  if (std::ranges::none_of(words, IsOfAccessTimes)) {
    wanted.flags.noatime = now.flags.noatime;
    wanted.flags.nodiratime = now.flags.nodiratime;
    wanted.flags.strictatime = now.flags.strictatime;
  }
  for (const std::string& word : words) {
    if (word == "remount") continue;
    if (word == "bind") {
      wanted.bind = true;
    } else if (!wanted.flags.Take(word) && std::ranges::count(shown, word) == 0) {
      // (mount(8) repeats what the kernel shows.)
      wanted.served.push_back(word);
    }
  }
  return wanted;
}

Status CheckServed(const std::string& mountpoint, const std::vector<std::string>& words) {
  if (words.empty()) return {};
  std::string list;
  for (const std::string& word : words) list += "," + word;
  if (auto valid = ParseMountArgs("h:/v", mountpoint, list); !valid.ok()) return valid.status();
  std::string in_force(65536, '\0');
  const ssize_t n = getxattr(mountpoint.c_str(), kMountXattr, in_force.data(), in_force.size());
  if (n < 0) return ErrnoStatus(errno, "asking the mount's process for its options");
  in_force.resize(static_cast<size_t>(n));
  auto now = ParseMountArgs("h:/v", mountpoint, in_force),
       then = ParseMountArgs("h:/v", mountpoint, in_force + list);
  if (!now.ok()) return now.status();
  if (!then.ok()) return then.status();
  const auto before = ServedOptions(*now), after = ServedOptions(*then);
  for (const std::string& option : after) {
    if (std::ranges::count(before, option) != 0) continue;
    return Status(EINVAL, "option " + option + " cannot be changed while it is mounted (in force: " +
                              in_force + "); unmount it and mount it anew, or leave the option out");
  }
  return {};
}

Status Change(const std::string& mountpoint, std::string_view options) {
  std::ifstream in("/proc/self/mountinfo");
  std::ostringstream text;
  text << in.rdbuf();
  const auto now = fuse::FindMount(text.str(), mountpoint);
  if (!now || now->type != "fuse.kfs") return Status(EINVAL, "no KFS volume is mounted there");
  Wanted wanted = Sort(*now, options);
  if (wanted.flags.dirsync && !now->flags.dirsync) {
    return Status(EINVAL,
                  "option dirsync cannot be changed while it is mounted; unmount it and mount it anew");
  }
  wanted.flags.dirsync = now->flags.dirsync;
  KFS_RETURN_IF_ERROR(CheckServed(mountpoint, wanted.served));
  unsigned long bits = MS_REMOUNT | wanted.flags.Bits();
  if (wanted.bind) bits |= MS_BIND;
  if (mount(nullptr, mountpoint.c_str(), nullptr, bits, nullptr) == 0) return {};
  if (errno == EBUSY) return Status(EBUSY, "files are open for writing: close them first");
  return ErrnoStatus(errno, "the kernel refuses");
}

}  // namespace

bool IsRemount(std::string_view options) { return std::ranges::count(SplitOptions(options), "remount") != 0; }

int Remount(const std::string& directory, std::string_view options) {
  char* real = realpath(directory.c_str(), nullptr);
  if (real == nullptr) {
    std::fprintf(stderr, "kfs: cannot remount %s: %s\n", directory.c_str(), std::strerror(errno));
    return kRemountUsage;
  }
  const std::string mountpoint(real);
  std::free(real);
  const Status status = Change(mountpoint, options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "kfs: cannot remount %s: %s\n", mountpoint.c_str(), status.message().c_str());
  return kExitMountFailed;
}

}  // namespace kfs

// The options of a mount that the kernel itself keeps: as words of mount(8), as bits of mount(2), and as
// /proc/self/mountinfo shows them. They can be changed while the mount is used (remount), so the kernel's own
// state is what counts (mount_watch.h). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kfs::fuse {

struct MountFlags {
  // Of the superblock, for all who see it; read_only also of the mount alone.
  bool read_only = false, sync = false, dirsync = false, lazytime = false;
  // Of the mount alone.
  bool nodev = false, nosuid = false, noexec = false, nosymfollow = false;
  bool noatime = false, nodiratime = false, strictatime = false;  // none of them: relatime

  // Takes an option of mount(8), "nodev" or "dev"; of those that contradict the last one counts. False: it is
  // none of these options.
  bool Take(std::string_view option);
  uint64_t Bits() const;     // MS_*
  std::string Text() const;  // "ro,nodev,noatime"; what is not set is left out, but "rw" and "relatime"
  bool operator==(const MountFlags&) const = default;
};

struct MountEntry {
  uint64_t id = 0;
  std::string mountpoint, type, source;
  MountFlags flags;
  std::string options;  // all that is shown, comma separated
  std::string device;   // "0:52"
};
// One line of mountinfo.
std::optional<MountEntry> ParseMountEntry(const std::string& line);
// In the text of mountinfo: what is seen at `mountpoint` (the last one mounted there); or by its id.
std::optional<MountEntry> FindMount(const std::string& mountinfo, const std::string& mountpoint);
std::optional<MountEntry> FindMount(const std::string& mountinfo, uint64_t id);

}  // namespace kfs::fuse

#include "fuse/mount_flags.h"

#include <sys/mount.h>

#include <cstdlib>
#include <sstream>

namespace kfs::fuse {
namespace {

constexpr uint64_t kMsNoSymFollow = 256, kMsLazyTime = 1u << 25;

struct Word {
  std::string_view on, off;  // the option and its opposite
  bool MountFlags::*flag;
  uint64_t bit;
};
constexpr Word kWords[] = {
    {"ro", "rw", &MountFlags::read_only, MS_RDONLY},
    {"sync", "async", &MountFlags::sync, MS_SYNCHRONOUS},
    {"dirsync", "", &MountFlags::dirsync, MS_DIRSYNC},
    {"lazytime", "nolazytime", &MountFlags::lazytime, kMsLazyTime},
    {"nodev", "dev", &MountFlags::nodev, MS_NODEV},
    {"nosuid", "suid", &MountFlags::nosuid, MS_NOSUID},
    {"noexec", "exec", &MountFlags::noexec, MS_NOEXEC},
    {"nosymfollow", "symfollow", &MountFlags::nosymfollow, kMsNoSymFollow},
    {"nodiratime", "diratime", &MountFlags::nodiratime, MS_NODIRATIME},
};

// The three rules of access times exclude each other, and each has an opposite that only means "not this".
bool TakeAtime(std::string_view option, MountFlags* f) {
  if (option == "noatime") {
    f->noatime = true;
    f->strictatime = false;
  } else if (option == "strictatime") {
    f->strictatime = true;
    f->noatime = false;
  } else if (option == "relatime") {
    f->noatime = f->strictatime = false;
  } else if (option == "atime") {
    f->noatime = false;
  } else if (option == "nostrictatime") {
    f->strictatime = false;
  } else {
    return option == "norelatime";  // to the kernel it says nothing
  }
  return true;
}

// mountinfo writes blanks and backslashes as \ooo.
std::string Unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.push_back(static_cast<char>(std::strtol(text.substr(i + 1, 3).c_str(), nullptr, 8)));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

template <typename Match>
std::optional<MountEntry> FindLast(const std::string& mountinfo, Match match) {
  std::istringstream lines(mountinfo);
  std::optional<MountEntry> found;
  for (std::string line; std::getline(lines, line);) {
    auto entry = ParseMountEntry(line);
    if (entry && match(*entry)) found = std::move(entry);
  }
  return found;
}

}  // namespace

bool MountFlags::Take(std::string_view option) {
  for (const Word& word : kWords) {
    if (option == word.on || (!word.off.empty() && option == word.off)) {
      this->*word.flag = option == word.on;
      return true;
    }
  }
  return TakeAtime(option, this);
}

uint64_t MountFlags::Bits() const {
  uint64_t bits = noatime ? MS_NOATIME : strictatime ? MS_STRICTATIME : MS_RELATIME;
  for (const Word& word : kWords) {
    if (this->*word.flag) bits |= word.bit;
  }
  return bits;
}

std::string MountFlags::Text() const {
  std::string text = read_only ? "ro" : "rw";
  for (const Word& word : kWords) {
    if (word.flag != &MountFlags::read_only && this->*word.flag) text.append(",").append(word.on);
  }
  return text + (noatime ? ",noatime" : strictatime ? ",strictatime" : ",relatime");
}

std::optional<MountEntry> ParseMountEntry(const std::string& line) {
  std::istringstream words(line);
  std::string parent, device, root, at, options, word, super;
  MountEntry entry;
  if (!(words >> entry.id >> parent >> device >> root >> at >> options)) return std::nullopt;
  while (words >> word && word != "-") {
  }
  if (!(words >> entry.type >> entry.source >> super)) return std::nullopt;
  entry.device = device;
  entry.mountpoint = Unescape(at);
  entry.source = Unescape(entry.source);
  // Neither relatime nor noatime is shown where the mount is strict.
  entry.flags.strictatime = true;
  bool read_only = false;
  for (const std::string& list : {options, super}) {
    std::istringstream each(list);
    for (std::string option; std::getline(each, option, ',');) {
      if (option == "ro") read_only = true;
      entry.flags.Take(option);
    }
  }
  entry.flags.read_only = read_only;
  entry.options = options + "," + super;
  return entry;
}

std::optional<MountEntry> FindMount(const std::string& mountinfo, const std::string& mountpoint) {
  return FindLast(mountinfo, [&](const MountEntry& e) { return e.mountpoint == mountpoint; });
}

std::optional<MountEntry> FindMount(const std::string& mountinfo, uint64_t id) {
  return FindLast(mountinfo, [&](const MountEntry& e) { return e.id == id; });
}

}  // namespace kfs::fuse

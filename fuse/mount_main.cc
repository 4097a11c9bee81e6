// mount.kfs: called by mount(8) for `mount -t kfs` and fstab.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "fuse/mount.h"

namespace {

constexpr const char* kUsage =
    "usage: mount.kfs HOST[:PORT][,HOST[:PORT]...]:/VOLUME[/DIRECTORY] DIR [-o OPTION,...] [-s] [-f] [-n] "
    "[-v]\n"
    "  Mounts a KFS volume, or a directory of it; usually called as: mount -t kfs HOST:/VOLUME DIR\n"
    "  -o  hard (default), soft, timeo=TENTHS, secretfile=PATH, log=FILE, loglevel=LEVEL, pidfile=FILE,\n"
    "      metrics=ADDRESS, trace,\n"
    "      allow_other, ro, nodev, nosuid, noexec, nosymfollow, sync, dirsync, noatime, nodiratime,\n"
    "      relatime, strictatime, lazytime, and what mount(8) itself understands\n"
    "      remount (with any of those from ro on, but dirsync): changes a mount that is in use\n"
    "  -f  check the arguments only   -s  ignore unknown options   -v  say what is done   -n  ignored\n";

// With -s (sloppy) options that are not known are dropped one by one.
std::string KnownOnly(const std::string& options) {
  std::string known;
  for (size_t at = 0; at <= options.size();) {
    const size_t comma = std::min(options.find(',', at), options.size());
    const std::string one = options.substr(at, comma - at);
    if (kfs::ParseMountArgs("h:/v", "/", one).ok()) known += (known.empty() ? "" : ",") + one;
    at = comma + 1;
  }
  return known;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words;
  std::string options;
  bool fake = false, sloppy = false, verbose = false;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "-h" || arg == "--help") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    if (arg.size() < 2 || arg[0] != '-') {
      words.push_back(arg);
      continue;
    }
    for (size_t k = 1; k < arg.size(); ++k) {
      const char c = arg[k];
      if (c == 'f')
        fake = true;
      else if (c == 's')
        sloppy = true;
      else if (c == 'v')
        verbose = true;
      else if (c == 'n')
        continue;  // mtab is the kernel's business now
      else if (c == 'o' || c == 't' || c == 'N') {
        const std::string value = k + 1 < arg.size() ? arg.substr(k + 1) : i + 1 < argc ? argv[++i] : "";
        if (c == 'o') options += (options.empty() ? "" : ",") + value;
        break;
      } else {
        std::fprintf(stderr, "mount.kfs: option -%c is not known\n%s", c, kUsage);
        return 1;
      }
    }
  }
  if (words.size() != 2) {
    std::fputs(kUsage, stderr);
    return 1;
  }
  if (kfs::IsRemount(options)) return fake ? 0 : kfs::Remount(words[1], options);
  if (sloppy) options = KnownOnly(options);
  auto parsed = kfs::ParseMountArgs(words[0], words[1], options);
  if (!parsed.ok()) {
    std::fprintf(stderr, "mount.kfs: %s\n", parsed.status().message().c_str());
    return 1;
  }
  parsed->verbose = verbose;
  return fake ? 0 : kfs::RunMount(*parsed);
}

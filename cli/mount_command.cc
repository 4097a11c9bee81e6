// kfs mount: the words are here, the work is fuse/mount.h's.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "fuse/mount.h"

namespace kfs::cli {
namespace {

struct MountArgs {
  std::string source, directory;
  std::vector<std::string> options;
  bool foreground = false;
  bool mkdir = false;
};

constexpr char kNotes[] =
    "Returns when the mount can be used; the mount goes on in the background until it is unmounted (kfs "
    "umount "
    "DIRECTORY, or\n"
    "umount(8)). With -f it stays in the foreground and logs to stderr.\n"
    "\n"
    "Mount options:\n"
    "  hard              wait for servers that do not answer, for as long as it takes\n"
    "                    (default); a program that waits can be killed\n"
    "  soft              give up after timeo with 'Connection timed out' (ETIMEDOUT)\n"
    "  timeo=N           tenths of a second that a soft mount waits (600)\n"
    "  secretfile=FILE   a key (kfs key create) or the cluster's secret (--secret-file, or\n"
    "                    /etc/kfs/secret)\n"
    "  tls=MODE          links by TCP: required, accept or off (--tls, or required)\n"
    "  socketdir=DIR     Unix sockets of this machine's servers (/run/kfs); empty: by TCP only\n"
    "  log=FILE          where to log once in the background (the system's log: journal or\n"
    "                    syslog, as kfs-mount)\n"
    "  loglevel=LEVEL    trace, debug, info, warn, error or off (info)\n"
    "  pidfile=FILE      holds the process id while mounted\n"
    "  metrics=ADDRESS   serve /metrics (Prometheus) and /healthz there: unix:/PATH or HOST:PORT\n"
    "  trace             log each request's way through the client\n"
    "  readdirplus       attributes come with directory entries\n"
    "  allow_other       other users may enter (default when root mounts; others need\n"
    "                    user_allow_other in /etc/fuse.conf); noallow_other\n"
    "  ro, nodev, nosuid, noexec, nosymfollow, sync, dirsync, noatime, nodiratime, strictatime,\n"
    "  lazytime and their opposites: as in mount(8) (access times: relatime)\n"
    "  remount           changes these (but dirsync) of a mount that is in use\n"
    "  auto, noauto, user, _netdev, nofail, x-*, comment=: for fstab, ignored here\n"
    "\n"
    "Examples:\n"
    "  kfs mount --mkdir 127.0.0.1:/data /mnt/data\n"
    "  kfs mount meta.example.org:7400:/data /mnt/data -o soft,timeo=100\n"
    "  mount -t kfs meta.example.org:/data /mnt/data\n"
    "  kfs mount meta.example.org:/data/projects/apollo /srv/apollo\n"
    "\n"
    "In /etc/fstab:\n"
    "  meta.example.org:/data  /mnt/data  kfs  _netdev,nofail,x-systemd.automount,secretfile=/etc/kfs/secret "
    " 0 0\n"
    "With x-systemd.automount the first program that enters DIRECTORY mounts it, whenever the servers are "
    "there; without, a\n"
    "mount whose servers are away while the machine starts is given up.\n"
    "\n"
    "Exit codes, as mount(8): 0 mounted, 1 wrong usage or no permission, 32 it could not be mounted.\n";

constexpr int kMountUsage = 1, kMountFailed = 32;

int Run(GlobalOptions& global, const MountArgs& args) {
  if (Status s = ResolveDefaults(&global); !s.ok()) {
    std::fprintf(stderr, "kfs mount: %s\n", s.ToString().c_str());
    return kMountUsage;
  }
  // The secret is found as for every command; -o secretfile= comes after it and so goes before it.
  std::string options =
      fmt::format("secretfile={},tls={},{}", global.secret_file, global.tls, fmt::join(args.options, ","));
  if (std::string given = fmt::format("{}", fmt::join(args.options, ",")); IsRemount(given))
    return Remount(args.directory, given);
  auto parsed = ParseMountArgs(args.source, args.directory, options);
  if (!parsed.ok()) {
    std::fprintf(stderr, "kfs mount: %s\n", parsed.status().message().c_str());
    return kMountUsage;
  }
  parsed->foreground = args.foreground;
  if (args.mkdir) {
    std::error_code ec;
    std::filesystem::create_directories(args.directory, ec);
    if (ec && !std::filesystem::is_directory(args.directory, ec)) {
      std::fprintf(stderr, "kfs mount: cannot make the mount point %s: %s\n", args.directory.c_str(),
                   ec.message().c_str());
      return kMountFailed;
    }
  }
  return RunMount(*parsed);
}

}  // namespace

void AddMountCommand(CLI::App& app, GlobalOptions& global) {
  auto args = std::make_shared<MountArgs>();
  CLI::App* command = app.add_subcommand("mount", "Mount a volume on a directory.");
  command->fallthrough();
  command
      ->add_option("SOURCE", args->source,
                   "HOST[:PORT][,HOST[:PORT]...]:/VOLUME[/DIRECTORY]; several hosts are one cluster's "
                   "metaservers. With a directory nothing else of the volume is seen.")
      ->required()
      ->type_name("");
  command->add_option("DIRECTORY", args->directory, "Where to mount it; has to be there, but for --mkdir.")
      ->required()
      ->type_name("");
  command->add_option("-o,--options", args->options, "Mount options, parted by commas.")
      ->type_name("OPTIONS")
      ->allow_extra_args(false)
      ->take_all();
  command->add_flag("--mkdir", args->mkdir, "Make DIRECTORY, and those above it, when it is not there.");
  command->add_flag("-f,--foreground", args->foreground, "Stay in the foreground.");
  command->footer(kNotes);
  command->callback([&global, args] {
    global.log = true;
    global.run = [&global, args] { return Run(global, *args); };
  });
}

}  // namespace kfs::cli

// kfs umount
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>

#include "cli/admin_connection.h"
#include "cli/local_mounts.h"
#include "cli/output.h"
#include "cli/waiting.h"
#include "fuse/mount_checks.h"

namespace kfs::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kUsersShown = 5, kWaitersShown = 16;

std::string KfsMountedAt(const std::string& mount_point) {
  std::ifstream in("/proc/self/mountinfo");
  return fuse::KfsMountAt(std::string(std::istreambuf_iterator<char>(in), {}), mount_point);
}

bool Below(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory + "/");
}

// "bash (1234), make (1240), ...": the processes that count. What this user may not see is not there.
std::string Processes(size_t shown_max, const std::function<bool(const fs::path& process)>& counts) {
  std::string out;
  size_t shown = 0;
  std::error_code ec;
  for (const auto& process : fs::directory_iterator("/proc", ec)) {
    const std::string pid = process.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos || !counts(process.path())) continue;
    if (++shown > shown_max) return out + ", ...";
    std::string name;
    std::getline(std::ifstream(process.path() / "comm") >> std::ws, name);
    out += fmt::format("{}{} ({})", out.empty() ? "" : ", ", name, pid);
  }
  return out;
}

bool AnyOf(const fs::path& directory, const std::function<bool(const fs::path& entry)>& counts) {
  std::error_code ec;
  for (fs::directory_iterator entry(directory, ec), end; !ec && entry != end; entry.increment(ec)) {
    if (counts(entry->path())) return true;
  }
  return false;
}

std::string Users(const std::string& mount_point) {
  const auto leads_there = [&mount_point](const fs::path& link) {
    std::error_code ec;
    const fs::path to = fs::read_symlink(link, ec);
    return !ec && Below(to, mount_point);
  };
  return Processes(kUsersShown, [&](const fs::path& process) {
    return leads_there(process / "cwd") || leads_there(process / "root") || leads_there(process / "exe") ||
           AnyOf(process / "fd", leads_there);
  });
}

// Programs that wait for the daemon of a FUSE mount within a call, perhaps with no file open yet. The kernel
// does not say of which mount.
std::string Waiters() {
  return Processes(kWaitersShown, [](const fs::path& process) {
    return AnyOf(process / "task", [](const fs::path& task) {
      std::string where;
      std::getline(std::ifstream(task / "wchan"), where);
      return where == "request_wait_answer";
    });
  });
}

// Others than root may unmount what they have mounted, through the helper that mounted it.
int FuserUnmount(const std::string& mount_point, bool lazy) {
  const pid_t pid = fork();
  if (pid < 0) return errno;
  if (pid == 0) {
    execlp("fusermount3", "fusermount3", "-q", lazy ? "-uz" : "-u", "--", mount_point.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? ENOENT : EBUSY;
}

int Unmount(const std::string& mount_point, bool lazy) {
  if (geteuid() != 0) return FuserUnmount(mount_point, lazy);
  return umount2(mount_point.c_str(), UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0 ? 0 : errno;
}

int UnmountOne(const std::string& mount_point, bool lazy) {
  const std::string source = KfsMountedAt(mount_point);
  if (source.empty())
    return Report(Status(EINVAL, fmt::format("no KFS volume is mounted on {} ('findmnt -t fuse.kfs' shows "
                                             "those that are)",
                                             mount_point)),
                  kNotFound);
  const int error = Waiting().For(std::async(std::launch::async, [&] { return Unmount(mount_point, lazy); }),
                                  [&] { return fmt::format("{} to be unmounted", mount_point); });
  if (error == 0) return kOk;
  if (error == EBUSY) {
    const std::string users = Users(mount_point);
    const std::string waiters = users.empty() ? Waiters() : "";
    return Report(Status(
        error, fmt::format("{} is in use{}{}{}{}: end what uses it, or take it out of sight with "
                           "--lazy (unmounted when nobody uses it any more)",
                           mount_point, users.empty() ? "" : " by ", users,
                           waiters.empty() ? "" : ", perhaps by one that waits for its servers: ", waiters)));
  }
  if (error == ENOENT && geteuid() != 0)
    return Report(Status(error, "only root can unmount without fusermount3: use sudo, or install fuse3"));
  return Report(ErrnoStatus(error, "cannot unmount " + mount_point));
}

struct UmountArgs {
  std::vector<std::string> directories;
  bool lazy = false;
};

int RunUmount(const UmountArgs& args) {
  int code = kOk;
  std::vector<std::string> mount_points;
  for (const std::string& directory : args.directories) mount_points.push_back(MountPointOf(directory));
  // Called from within the mount we would be one of its users ourselves.
  if (chdir("/") != 0) return Report(ErrnoStatus(errno, "/"));
  for (const std::string& mount_point : mount_points) {
    if (const int one = UnmountOne(mount_point, args.lazy); one != kOk) code = one;
  }
  return code;
}

}  // namespace

void AddUmountCommand(CLI::App& app, GlobalOptions& global) {
  auto args = std::make_shared<UmountArgs>();
  CLI::App* command = app.add_subcommand("umount", "Unmount what is mounted on a directory.");
  command->fallthrough();
  CLI::Option* directory =
      command->add_option("DIRECTORY", args->directories, "Where it is mounted; may be several.")
          ->required()
          ->type_name("");
  global.names[directory] = Names::kFile;
  command->add_flag("-l,--lazy", args->lazy,
                    "Take it out of sight now, even if it is used; it ends when nobody uses it any more.");
  command->footer(
      "As umount(8), and fusermount3 -u for others than root: what was written is in the cluster by then.\n"
      "Exit code 4: no KFS volume is mounted there.");
  command->callback([&global, args] { global.run = [args] { return RunUmount(*args); }; });
}

}  // namespace kfs::cli

#include "fuse/mount.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "common/credentials.h"
#include "common/log.h"
#include "common/log_line.h"
#include "fuse/mount_checks.h"
#include "fuse/mount_daemon.h"
#include "rpc/daemon.h"

namespace kfs {
namespace {

constexpr int kExitUsage = 1, kExitMountFailed = 32;
// Whoever waits longer is told for whom.
constexpr int kSayAfterMs = 1000;

int Report(const MountOptions& options, const Status& why, int code) {
  std::fprintf(stderr, "kfs: cannot mount %s on %s: %s\n", options.source.c_str(), options.mountpoint.c_str(),
               why.message().c_str());
  return code;
}

// The daemon leaves the directory that it was started in.
void MakeAbsolute(std::string* path) {
  if (!path->empty()) *path = std::filesystem::absolute(*path).string();
}

// Everything that can be found out before anything is touched.
Status Prepare(MountOptions* options, Credentials* credentials) {
  for (std::string* path : {&options->secret_file, &options->log_file, &options->pid_file})
    MakeAbsolute(path);
  auto mountpoint = fuse::CheckMountPoint(options->mountpoint);
  if (!mountpoint.ok()) return mountpoint.status();
  options->mountpoint = *mountpoint;
  KFS_RETURN_IF_ERROR(fuse::CheckFuseDevice());
  Result<TlsMode> tls = ParseTlsMode(options->tls);
  if (!tls.ok()) return tls.status();
  auto read = Credentials::Read(options->secret_file);
  if (!read.ok()) {
    return Status(read.status().err(), "the cluster's secret: " + read.status().message() +
                                           "\n  have a key made with 'kfs key create NAME --volume " +
                                           options->volume +
                                           " -o FILE' where the cluster is administered, and give it (mode "
                                           "0600, owned by who mounts) with -o secretfile=FILE");
  }
  *credentials = read->With({.tls = *tls, .socket_dir = options->socket_dir});
  return {};
}

void RaiseFileLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int Serve(const MountOptions& options, Credentials credentials, std::function<void(const Status&)> ready) {
  RaiseFileLimit();
  fuse::MountDaemon daemon(options, std::move(credentials), std::move(ready));
  return daemon.Run();
}

int RunForeground(const MountOptions& options, Credentials credentials) {
  if (Status s = InitLog("kfs-mount", options.log_file, options.log_level); !s.ok()) {
    return Report(options, s, kExitUsage);
  }
  return Serve(options, std::move(credentials), [&options](const Status& s) {
    if (!s.ok()) Report(options, s, kExitMountFailed);
  });
}

void PointAtNull(int fd) {
  const int null = open("/dev/null", O_RDWR);
  dup2(null, fd);
  if (null != fd) close(null);
}

// The child's life. `to_parent` gets one byte, '+' when the mount is usable or '-' and the reason.
int RunChild(const MountOptions& options, Credentials credentials, int to_parent) {
  // Nothing of the caller's is kept open or busy: its pipes would never end, its directory never be
  // unmounted.
  dup2(to_parent, 3);
  close_range(4, ~0u, 0);
  fcntl(3, F_SETFD, FD_CLOEXEC);
  PointAtNull(STDIN_FILENO);
  PointAtNull(STDOUT_FILENO);
  if (chdir("/") != 0) return kExitMountFailed;
  const auto tell = [](const Status& s) {
    // Not before it is mounted: where systemd watches the mount point (x-systemd.automount), only processes
    // of its own group get past the watch.
    setsid();
    const std::string text = s.ok() ? "+" : "-" + s.message();
    if (write(3, text.data(), text.size()) < 0) std::perror("kfs: telling the caller");
    close(3);
    PointAtNull(STDERR_FILENO);
  };
  const std::string log = options.log_file.empty() ? kLogToSystem : options.log_file;
  if (Status s = InitLog("kfs-mount", log, options.log_level); !s.ok()) {
    tell(s);
    return kExitUsage;
  }
  return Serve(options, std::move(credentials), tell);
}

int RunBackground(const MountOptions& options, Credentials credentials) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return Report(options, ErrnoStatus(errno, "pipe"), kExitMountFailed);
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return Report(options, ErrnoStatus(errno, "starting the mount's process"), kExitMountFailed);
  if (pid == 0) {
    close(fds[0]);
    std::exit(RunChild(options, std::move(credentials), fds[1]));
  }
  close(fds[1]);
  std::string answer;
  char buffer[4096];
  pollfd answered{.fd = fds[0], .events = POLLIN, .revents = 0};
  if (poll(&answered, 1, kSayAfterMs) == 0)
    std::fprintf(stderr, "kfs: waiting for a metaserver to answer (%s)\n", options.source.c_str());
  for (ssize_t n; (n = read(fds[0], buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR);) {
    if (n > 0) answer.append(buffer, static_cast<size_t>(n));
  }
  close(fds[0]);
  if (!answer.empty() && answer.front() == '+') {
    if (options.verbose) {
      std::printf("%s mounted on %s, served by process %d\n", options.source.c_str(),
                  options.mountpoint.c_str(), pid);
    }
    return 0;
  }
  waitpid(pid, nullptr, 0);
  if (answer.empty()) {
    answer = "-the mount's process ended without a word" +
             (options.log_file.empty() ? "; see the system's log (journalctl -t kfs-mount)"
                                       : "; see " + options.log_file);
  }
  return Report(options, Status(EIO, answer.substr(1)), kExitMountFailed);
}

}  // namespace

int RunMount(const MountOptions& given) {
  MountOptions options = given;
  Credentials credentials;
  if (Status s = Prepare(&options, &credentials); !s.ok()) return Report(options, s, kExitMountFailed);
  KeepToOneself();
  return options.foreground ? RunForeground(options, std::move(credentials))
                            : RunBackground(options, std::move(credentials));
}

}  // namespace kfs

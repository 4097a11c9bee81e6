#include "fuse/mount_daemon.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "common/allocator.h"
#include "common/log.h"
#include "common/text_file.h"
#include "fuse/mount_checks.h"

extern char** environ;

namespace kfs::fuse {
namespace {

// How long programs that still use a mount told to stop are served, and how long the session may take to end.
constexpr auto kLingerAfterDetach = std::chrono::seconds(3);
constexpr auto kShutdownMax = std::chrono::seconds(5);

constexpr int kExitMountFailed = 32;  // as mount(8) has it

// A comma within a value would end it.
std::string EscapeOption(const std::string& value) {
  std::string out;
  for (char c : value) {
    if (c == ',' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

std::string Join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ",") + word;
  return out;
}

// Takes the mount out of sight; who still uses it keeps it. Blocks.
void DetachMount(const std::string& mountpoint) {
  if (umount2(mountpoint.c_str(), MNT_DETACH) == 0 || errno != EPERM) return;
  std::string program = "fusermount3", quiet = "-q", unmount = "-u", lazy = "-z", dash = "--",
              dir = mountpoint;
  char* argv[] = {program.data(), quiet.data(), unmount.data(), lazy.data(),
                  dash.data(),    dir.data(),   nullptr};
  pid_t pid;
  if (posix_spawnp(&pid, "fusermount3", nullptr, nullptr, argv, environ) == 0) waitpid(pid, nullptr, 0);
}

}  // namespace

MountDaemon::MountDaemon(const MountOptions& options, Credentials credentials,
                         std::function<void(const Status&)> ready)
    : options_(options), credentials_(std::move(credentials)), ready_(std::move(ready)) {}

MountDaemon::~MountDaemon() {
  if (detaching_.joinable()) detaching_.join();
  monitor_.reset();
  connecting_.reset();
  client_.reset();
  session_.reset();
  signal_watch_.reset();
  if (signal_fd_ >= 0) close(signal_fd_);
}

int MountDaemon::Run() {
  // Blocked before any thread is made, so that all signals come through the descriptor.
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, s);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal_fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  loop_.Post([this] {
    signal_watch_ = loop_.WatchReadable(signal_fd_, [this] { OnSignal(); });
    Connect();
  });
  ReturnFreedMemory();
  loop_.Run();
  return exit_code_;
}

void MountDaemon::Connect() {
  KfsClient::Options o;
  o.metaservers = options_.metaservers;
  o.volume = options_.volume;
  o.path = options_.path;
  o.credentials = credentials_;
  o.mountpoint = options_.mountpoint;
  o.soft = options_.soft;
  o.timeout = options_.timeout;
  o.trace = options_.trace;
  // To whoever waits for the mount. Once it is there, or has failed, nobody does.
  o.on_trying = [this, longest = std::chrono::duration_cast<std::chrono::seconds>(o.connect_timeout)](
                    const Status& why) {
    if (ready_)
      std::fprintf(stderr, "kfs: %s; trying for %lld s more\n", why.ToString().c_str(),
                   static_cast<long long>(longest.count()));
  };
  o.loop = &loop_;
  connecting_ = KfsClient::Connect(std::move(o),
                                   [this](Result<std::unique_ptr<KfsClient>> r) { Connected(std::move(r)); });
}

void MountDaemon::Connected(Result<std::unique_ptr<KfsClient>> client) {
  if (!client.ok()) return Fail(ExplainConnect(options_, client.status()));
  client_ = std::move(*client);
  // A mount that cannot even say what its root is would be of no use.
  client_->GetAttr(Caller{}, kRootIno, [this](Result<Entry> root) {
    if (!root.ok()) return Fail(ExplainConnect(options_, root.status()));
    if (Status s = StartMonitor(); !s.ok()) return Fail(s);
    MountNow();
  });
}

Status MountDaemon::StartMonitor() {
  if (options_.metrics.empty()) return {};
  monitor_ = std::make_unique<Monitor>(loop_);
  monitor_->metrics().Add([this](MetricsPage& page) { client_->ShowMetrics(page); });
  monitor_->OnHealth([this] { return client_->Connection(); });
  return monitor_->Listen(options_.metrics);
}

std::string MountDaemon::KernelOptions() const {
  const bool root = geteuid() == 0;
  const MountFlags& f = options_.flags;
  std::string o = "subtype=kfs,fsname=" + EscapeOption(options_.source);
  if (!options_.no_allow_other && (options_.allow_other || root)) o += ",allow_other";
  // libfuse's own default for everybody is nosuid,nodev; root gets what a local disk has.
  if (root) o += std::string(f.nodev ? ",nodev" : ",dev") + (f.nosuid ? ",nosuid" : ",suid");
  // The others are unknown to libfuse.
  for (const auto& [flag, word] : {std::pair{f.read_only, ",ro"},
                                   {f.noexec, ",noexec"},
                                   {f.sync, ",sync"},
                                   {f.dirsync, ",dirsync"},
                                   {f.noatime, ",noatime"}}) {
    if (flag) o += word;
  }
  return o;
}

// What libfuse does not hand on to the kernel.
Status MountDaemon::SetFlags() {
  const MountFlags& f = options_.flags;
  if (!f.nodiratime && !f.strictatime && !f.lazytime && !f.nosymfollow) return {};
  if (mount(nullptr, options_.mountpoint.c_str(), nullptr, MS_REMOUNT | f.Bits(), nullptr) == 0) return {};
  return ErrnoStatus(errno, "only root may mount with nodiratime, strictatime, lazytime or nosymfollow");
}

void MountDaemon::MountNow() {
  fs_ = std::make_unique<FileSystem>(loop_, *client_,
                                     FileSystem::Options{.readdirplus = options_.readdirplus,
                                                         .mount_flags = [this]() -> const MountFlags& {
                                                           return watch_ ? watch_->Flags() : options_.flags;
                                                         },
                                                         .served_options = Join(ServedOptions(options_))});
  session_ = std::make_unique<Session>(loop_, *fs_);
  Status mounted = session_->Mount(
      options_.mountpoint, KernelOptions(), [this] { Usable(); }, [this](Status why) { KernelEnded(why); });
  if (!mounted.ok()) return Fail(ExplainKernel(options_, mounted));
  if (Status set = SetFlags(); !set.ok()) {
    detaching_ = std::thread(DetachMount, options_.mountpoint);
    return Fail(set);
  }
  watch_ = std::make_unique<MountWatch>(options_.mountpoint, options_.flags);
  client_->OnDrainReleases(
      [this](std::function<void()> answered) { session_->AfterQueue(std::move(answered)); });
}

void MountDaemon::Usable() {
  if (!options_.pid_file.empty()) {
    if (Status s = WriteTextFile(options_.pid_file, std::to_string(getpid()) + "\n"); !s.ok())
      KFS_LOG(warn, "mount.pid_file_failed path={} reason=\"{}\"", options_.pid_file, s.ToString());
  }
  KFS_LOG(info, "mount.ready source={} mountpoint={} pid={}", options_.source, options_.mountpoint, getpid());
  if (ready_) std::exchange(ready_, nullptr)(Status());
}

void MountDaemon::Fail(const Status& why) {
  exit_code_ = kExitMountFailed;
  if (ready_) std::exchange(ready_, nullptr)(why);
  Stop();
}

void MountDaemon::KernelEnded(Status why) {
  kernel_ended_ = true;
  // To us both look the same; but a mount that was cut off stays where it is, dead.
  if (why.ok() && watch_ && watch_->Mounted()) {
    why = Status(ECONNABORTED, "cut off through /sys/fs/fuse/connections");
  }
  if (why.ok()) {
    KFS_LOG(info, "mount.unmounted mountpoint={}", options_.mountpoint);
  } else {
    KFS_LOG(error, "mount.cut mountpoint={} reason=\"{}\"", options_.mountpoint, why.ToString());
    exit_code_ = kExitMountFailed;
    // The dead mount would answer ENOTCONN for ever.
    if (!detaching_.joinable()) detaching_ = std::thread(DetachMount, options_.mountpoint);
  }
  if (ready_) {
    exit_code_ = kExitMountFailed;
    std::exchange(ready_, nullptr)(Status(ENODEV, "unmounted by someone before it was usable"));
  }
  Stop();
}

void MountDaemon::OnSignal() {
  signalfd_siginfo info;
  while (read(signal_fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGHUP) {
      ReopenLog();
    } else {
      KFS_LOG(info, "mount.told_to_stop signal={} from_pid={}", info.ssi_signo, info.ssi_pid);
      Detach();
    }
  }
}

void MountDaemon::Detach() {
  if (stopping_ || detaching_.joinable()) return;
  if (!session_) return Fail(Status(EINTR, "interrupted by a signal before it was mounted"));
  detaching_ = std::thread(DetachMount, options_.mountpoint);
  // Unused, it ends by itself (KernelEnded).
  stop_timer_ = loop_.RunAfter(kLingerAfterDetach, [this] {
    KFS_LOG(warn, "mount.still_used mountpoint={} what remains open gets errors now", options_.mountpoint);
    Stop();
  });
}

void MountDaemon::Stop() {
  if (stopping_) return;
  stopping_ = true;
  if (monitor_) monitor_->Stop();
  if (!options_.pid_file.empty()) RemoveRegularFile(options_.pid_file);
  if (!client_) return loop_.Stop();
  stop_timer_ = loop_.RunAfter(kShutdownMax, [this] { loop_.Stop(); });
  client_->Shutdown([this](Status) { loop_.Stop(); });
}

}  // namespace kfs::fuse

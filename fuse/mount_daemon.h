// The process behind a mount, from connecting to the orderly end, on one event loop: client, kernel and
// signals.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "client/kfs_client.h"
#include "fuse/file_system.h"
#include "fuse/mount.h"
#include "fuse/mount_watch.h"
#include "fuse/session.h"
#include "rpc/event_loop.h"
#include "rpc/monitor.h"

namespace kfs::fuse {

class MountDaemon {
 public:
  // `ready` runs once: OK when the mount is usable, else the reason, in words for a person, and Run returns.
  MountDaemon(const MountOptions& options, Credentials credentials, std::function<void(const Status&)> ready);
  ~MountDaemon();
  MountDaemon(const MountDaemon&) = delete;
  MountDaemon& operator=(const MountDaemon&) = delete;

  // Serves until unmounted or told to stop (SIGTERM, SIGINT). The exit code: 0 unless the mount never came to
  // be, or the kernel's connection was cut.
  int Run();

 private:
  void Connect();
  void Connected(Result<std::unique_ptr<KfsClient>> client);
  Status StartMonitor();
  void MountNow();
  void Usable();
  void Fail(const Status& why);
  void KernelEnded(Status why);
  void OnSignal();
  void Detach();
  void Stop();
  std::string KernelOptions() const;
  Status SetFlags();

  const MountOptions options_;
  const Credentials credentials_;
  std::function<void(const Status&)> ready_;

  EventLoop loop_;
  // Destroyed from the last to the first: the client's last completions still reply through session and file
  // system.
  std::unique_ptr<MountWatch> watch_;
  std::unique_ptr<FileSystem> fs_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<KfsClient::Connecting> connecting_;
  std::unique_ptr<KfsClient> client_;
  std::unique_ptr<Monitor> monitor_;  // null: none is asked for

  int signal_fd_ = -1;
  std::unique_ptr<EventLoop::Watch> signal_watch_;
  EventLoop::Timer stop_timer_;
  std::thread detaching_;  // unmounting may need answers from us, so another thread asks for it
  bool stopping_ = false;
  bool kernel_ended_ = false;
  int exit_code_ = 0;
};

}  // namespace kfs::fuse

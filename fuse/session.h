// A mount's connection to the kernel: libfuse's dispatch with its transport replaced by ours. Requests come
// from the Transport, are decoded by libfuse, served by FileSystem, and answered through the Transport. The
// loop's thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fuse/file_system.h"
#include "fuse/kernel_notifier.h"
#include "fuse/transport.h"

namespace kfs::fuse {

class Session : public RequestSink {
 public:
  // `fs`, `loop` and the client outlive the session.
  Session(EventLoop& loop, FileSystem& fs) : loop_(loop), fs_(fs) {}
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Mounts: `options` as libfuse takes them after -o (commas within a value escaped). `ready` runs once the
  // kernel and we have greeted each other, `ended` once nothing more will come (OK: unmounted).
  Status Mount(const std::string& mountpoint, const std::string& options, std::function<void()> ready,
               std::function<void(Status)> ended);
  // Runs `fn` once everything that the kernel has queued until now has been handed to the client.
  void AfterQueue(std::function<void()> fn);

  // RequestSink
  void OnRequest(Message& message) override;
  void OnForget(uint64_t nodeid, uint64_t nlookup) override;
  void OnInterrupt(uint64_t unique) override;
  void OnQueueEmpty() override;
  void OnEnd(Status why) override;

 private:
  ssize_t Reply(iovec* iov, int count);

  EventLoop& loop_;
  FileSystem& fs_;
  fuse_session* session_ = nullptr;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<KernelNotifier> notifier_;
  std::function<void()> ready_;
  std::function<void(Status)> ended_;
  std::vector<std::function<void()>> after_queue_;
  uint64_t init_unique_ = 0;  // of the INIT request, whose reply is patched
  uint64_t init_offered_ = 0;
};

}  // namespace kfs::fuse

// Notifications to the kernel, from threads of their own: the kernel may answer one only after the loop has
// served requests that it causes (dirty pages are written back), so the loop must not wait for it. Nor do
// others wait for one that the kernel is long about: the next comes from another thread.
#pragma once

#include <functional>
#include <memory>

#include "common/types.h"
#include "rpc/event_loop.h"

namespace kfs::fuse {

class KernelNotifier {
 public:
  // What is more waits: each that is not answered keeps a thread.
  static constexpr size_t kAtOnce = 16;

  // `drop_pages` asks the kernel to write back and drop an inode's cached pages; it blocks, on one of the
  // notifier's threads.
  KernelNotifier(EventLoop& loop, std::function<void(Ino)> drop_pages);
  // A notification still under way (a daemon that ends while its mount is in use) is left to the end of the
  // process.
  ~KernelNotifier();

  // Loop's thread: `done` runs there once the kernel has written back.
  void DropPages(Ino ino, std::function<void()> done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace kfs::fuse

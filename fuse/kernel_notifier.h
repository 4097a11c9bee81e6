// Notifications to the kernel, from a thread of their own: the kernel may answer one only after the loop has
// served requests that it causes (dirty pages are written back), so the loop must not wait for it.
#pragma once

#include <functional>
#include <memory>

#include "common/types.h"
#include "rpc/event_loop.h"

namespace kfs::fuse {

class KernelNotifier {
 public:
  // `drop_pages` asks the kernel to write back and drop an inode's cached pages; it blocks, on the notifier's
  // thread.
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

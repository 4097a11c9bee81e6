// A test's thread that does something on a loop's.
#pragma once

#include <functional>
#include <future>

#include "rpc/event_loop.h"

namespace kfs {

// Runs `fn` on the loop's thread and waits for it.
inline void OnLoop(EventLoop& loop, const std::function<void()>& fn) {
  std::promise<void> done;
  loop.Post([&] {
    fn();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace kfs

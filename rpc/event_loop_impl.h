// For the .cc files of rpc/ only: the Asio side of an EventLoop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <thread>
#include <vector>

#include "rpc/event_loop.h"

namespace kfs {

struct EventLoop::Impl {
  boost::asio::io_context context{1};
  std::vector<std::function<void()>> tick_end;
  std::thread::id thread;
  bool stopping = false;  // loop's thread only
};

}  // namespace kfs

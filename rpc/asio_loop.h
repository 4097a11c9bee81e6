// For the .cc files of rpc/ only: a loop of this machine, and its io_context.
#pragma once

#include <boost/asio/io_context.hpp>

#include "rpc/event_loop.h"

namespace kfs {

// REQUIRES: `loop` was made by EventLoop().
boost::asio::io_context& AsioContext(EventLoop& loop);

std::shared_ptr<EventLoop::Impl> MakeAsioLoop();

}  // namespace kfs

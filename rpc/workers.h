// Threads that do what may block. Where they come from is the loop's matter (EventLoop::StartWorkers): real
// ones in a program, turns of the one thread in a simulation.
#pragma once

#include <functional>

namespace kfs {

class Workers {
 public:
  // Ends what runs; what waits is dropped.
  virtual ~Workers() = default;
  // Any thread: `work` runs on one of the threads, begun in the order of the calls. The caller bounds how
  // much waits.
  virtual void Do(std::function<void()> work) = 0;
};

}  // namespace kfs

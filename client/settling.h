// Writes that ended early (the program was killed, a soft mount's time was up) while their data may still be
// on its way to a chunkserver. Their caller has been answered; the rest of the world must not see the bytes
// come late. So the versions of the chunks are raised, and until the metaserver has said that they are, this
// inode's unlocks and releases are held back from it, and what comes after them in their order
// (docs/fencing.md). Worker's thread only.
//
//   Begin -> GiveUpWrite -> answered -> what was held back goes on, in order
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/types.h"
#include "proto/meta.pb.h"
#include "rpc/event_loop.h"

namespace kfs {

class ProtocolWorker;

class Settling {
 public:
  explicit Settling(ProtocolWorker& worker) : worker_(worker) {}

  // Data of these chunks, at these versions, may be on its way.
  void Begin(Ino ino, const std::vector<pb::GivenUpChunk>& chunks);
  // True: `fn` is run later, once all that was begun before is settled.
  bool HoldBack(Ino ino, std::function<void()> fn);
  bool idle() const { return inodes_.empty(); }
  // Runs when nothing is left to settle; one at a time.
  void OnIdle(std::function<void()> fn) { on_idle_ = std::move(fn); }
  // Nothing more is asked, and what was held back is dropped.
  void Stop();

 private:
  static constexpr Duration kRetryPause = std::chrono::seconds(1);
  struct Inode {
    std::vector<pb::GivenUpChunk> todo;  // not yet asked for
    bool asking = false;
    std::deque<std::function<void()>> held;
    EventLoop::Timer retry;
  };
  void Ask(Ino ino);
  void Answered(Ino ino, const Status& status, std::vector<pb::GivenUpChunk> asked);

  ProtocolWorker& worker_;
  bool stopped_ = false;
  std::unordered_map<Ino, std::shared_ptr<Inode>> inodes_;
  std::function<void()> on_idle_;
};

}  // namespace kfs

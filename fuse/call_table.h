// The calls under way for the kernel's requests, and what an interrupt does to them.
//
// The kernel sends INTERRUPT once, for any signal. A blocking lock ends with EINTR at once. Any other call
// goes on unless its caller is being killed, as on a local disk (a timer's signal must not break a mkdir). A
// SIGKILL may follow a harmless signal without another INTERRUPT, so callers once interrupted are looked at
// again until their calls end. Of a caller that /proc does not show (it is in another PID namespace) nobody can
// say whether it is being killed: its call goes on for kUnseenPatience, and then ends with EINTR, so that nothing
// waits for ever. The loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "client/kfs_client.h"
#include "rpc/event_loop.h"

namespace kfs::fuse {

class CallTable {
 public:
  // `cancel` ends a call early; `killed` tells whether a thread has SIGKILL pending, so long after the first
  // interrupt of its call.
  using Killed = std::function<bool(uint32_t pid, Duration since)>;
  CallTable(EventLoop& loop, std::function<void(CallId)> cancel, Killed killed)
      : loop_(loop), cancel_(std::move(cancel)), killed_(std::move(killed)) {}

  // `any_signal`: a signal of any kind ends the call.
  void Begin(uint64_t unique, uint32_t pid, bool any_signal) { calls_[unique] = {pid, any_signal, 0, {}}; }
  // The call's name, when it did not end at once; again when it is repeated.
  void SetId(uint64_t unique, CallId id);
  void End(uint64_t unique);
  void Interrupt(uint64_t unique);

  size_t size() const { return calls_.size(); }
  size_t interrupted() const { return interrupted_.size(); }

 private:
  struct Entry {
    uint32_t pid = 0;
    bool any_signal = false;
    CallId id = 0;
    MonoTime interrupted_at;
  };
  void Check();
  bool MustEnd(const Entry& entry) const {
    return entry.any_signal || killed_(entry.pid, std::chrono::steady_clock::now() - entry.interrupted_at);
  }

  EventLoop& loop_;
  const std::function<void(CallId)> cancel_;
  const Killed killed_;
  std::unordered_map<uint64_t, Entry> calls_;
  std::unordered_set<uint64_t> interrupted_;
  EventLoop::Timer timer_;
};

// Far longer than a server that is there takes to answer.
constexpr auto kUnseenPatience = std::chrono::seconds(10);

// Whether the thread (a tid as FUSE gives it) has SIGKILL pending: read from /proc.
bool KillPending(uint32_t tid);
// The same on the text of /proc/<tid>/status.
bool KillPendingIn(const std::string& proc_status);

}  // namespace kfs::fuse

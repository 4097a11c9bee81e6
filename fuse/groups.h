// Requests carry no supplementary groups and no capabilities, and asking /proc for them costs more than most
// operations. So a call is made without them first; a server whose answer depends on them says so
// (EACCES/kNeedGroups), and it is made once more with them (callers.h).
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "client/kfs_client.h"

namespace kfs::fuse {

inline Status StatusOf(const Status& s) { return s; }
template <typename T>
Status StatusOf(const Result<T>& r) {
  return r.status();
}

// R: Status or Result<T>. start(const Caller&, std::function<void(R)>) begins the call and is invoked once or
// twice, so it must own what it needs. complete(Caller*) fills in groups and capabilities. done(R) runs once.
template <typename R, typename Start, typename Complete, typename DoneFn>
void CallWithGroups(Caller caller, Start start, Complete complete, DoneFn done) {
  struct State {
    Caller caller;
    Start start;
    Complete complete;
    DoneFn done;
  };
  caller.groups_known = caller.kernel_checked;
  auto state = std::make_shared<State>(
      State{std::move(caller), std::move(start), std::move(complete), std::move(done)});
  state->start(state->caller, [state](R first) {
    const Status status = StatusOf(first);
    if (status.code() != Code::kNeedGroups) {
      state->done(std::move(first));
      return;
    }
    state->complete(&state->caller);
    state->start(state->caller, [state](R second) { state->done(std::move(second)); });
  });
}

}  // namespace kfs::fuse

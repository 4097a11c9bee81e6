// What an op's handler works with. Lives for one run of the handler.
//
// A run may be dropped at any time until the handler has returned and the executor has said that it counts:
// for records that are not in memory, for others who have to be asked first. So it changes nothing by itself;
// it leaves here and in `txn` what is to be done when it counts.
#pragma once

#include <cstdint>
#include <functional>

#include "metaserver/base/call.h"
#include "metaserver/executor/session.h"
#include "metaserver/executor/volume.h"
#include "metaserver/store/txn.h"
#include "proto/common.pb.h"

namespace kfs::meta {

class Executor;

struct OpEnv {
  Executor& executor;
  Volume& volume;
  Session& session;
  const pb::Context& ctx;
  Txn& txn;
  int64_t now;
  const CallPtr& call;
  Progress progress = call->progress;  // kept when the run counts and the call waits

  // The answer comes later: either the whole op is run again (Executor::Rerun) or Executor::Finish is called.
  // What the txn holds so far is applied, without a stored reply; then `then` is given the call that waits.
  // The handler returns OK at once after this.
  void Park(const char* waits_for, std::function<void(const ParkedPtr&)> then) {
    parked = true;
    waits = waits_for;
    on_park = std::move(then);
  }
  bool parked = false;
  const char* waits = nullptr;
  std::function<void(const ParkedPtr&)> on_park = nullptr;

  // Of an op that changes memory only, and learns by doing so whether it may: its last step, and what it is
  // answered. It may Park; it reads no records. REQUIRES: the txn is empty.
  std::function<Status()> decide = nullptr;
  // Told what the op is answered, OK or not; not told of a run that is dropped, nor while the call waits.
  std::function<void(const Status&)> on_answer = nullptr;

  // Stored with the reply where that is stored, for its replay after a restart.
  Ino opened = {};
  uint32_t opened_for = 0;  // bits of ChunkRights
  const pb::LockRange* lock = nullptr;
};

}  // namespace kfs::meta

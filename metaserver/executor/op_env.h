// What an op's handler works with. Lives for one run of the handler.
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

  // The answer comes later: either the whole op is run again (Executor::Rerun) or Executor::Finish is called.
  // What the txn holds so far is applied, without a stored reply. The handler returns OK at once after this.
  ParkedPtr Park(const char* waits_for);
  bool parked = false;
  ParkedPtr waits;  // the last that was parked

  // Stored with the reply where that is stored, for its replay after a restart.
  Ino opened;
  uint32_t opened_for = 0;  // bits of ChunkRights
  const pb::LockRange* lock = nullptr;
};

}  // namespace kfs::meta

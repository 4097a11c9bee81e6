// Makes what was committed to the cluster's database durable, in the order in which it was asked: at once while a
// metaserver starts, by a thread as soon as it serves anybody (WalSync), since a disk may take long. A sync that
// fails ends the process (Db::End): what was promised could be forgotten. Loop's thread only.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "common/lifetime.h"
#include "metaserver/store/db.h"
#include "metaserver/store/wal_sync.h"

namespace kfs::meta {

class RecordSync {
 public:
  // `db` outlives this.
  explicit RecordSync(Db& db) : db_(db) {}

  // From now on by that thread, which is taken away before it ends. Null: at once again; whoever waits is not told.
  void UseThread(WalSync* thread);
  // `done` once all that was committed before this call survives the loss of power: before it returns, or later on
  // the loop; never after a failure, or when this has gone.
  void Sync(std::function<void()> done);
  bool idle() const { return waiting_.empty(); }

 private:
  Db& db_;
  WalSync* thread_ = nullptr;
  std::deque<std::function<void()>> waiting_;
  std::unique_ptr<Lifetime> lifetime_;  // of what waits for the thread
};

}  // namespace kfs::meta

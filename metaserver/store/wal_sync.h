// Brings committed changes to stable storage: every database within a second of a change, sooner when there are
// many of them, and at once when somebody waits for it. Waiters that come together share one sync; one that comes while a sync runs waits
// for the next. A thread of its own does the syncing. A volume's database whose sync fails is lost() from
// then on. The methods are for the loop's thread.
#pragma once

#include <functional>
#include <memory>

#include "metaserver/store/db.h"
#include "rpc/event_loop.h"

namespace kfs::meta {

class WalSync {
 public:
  // `thread`: its name, at most 15 characters.
  explicit WalSync(EventLoop& loop, const char* thread = "kfs-wal-sync");
  ~WalSync();  // syncs what is dirty; waiters are not told

  void Changed(Db* db);
  // `done` is posted once everything committed before this call survives loss of power; never when the
  // database is lost.
  void SyncNow(Db* db, std::function<void()> done);
  // Returns when the database is no longer being synced, and forgets it.
  void Remove(Db* db);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kfs::meta

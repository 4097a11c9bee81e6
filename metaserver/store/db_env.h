// What a database stands on: files, clock, and who does its background work. The machine's own unless a
// simulation hands in others.
#pragma once

#include <functional>
#include <string>

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace kfs::meta {

struct DbEnv {
  // Files and clock of everything that the database and the checks of its log do; outlives the database.
  // Null: the machine's.
  rocksdb::Env* env = nullptr;
  // RocksDB starts no threads: what it schedules waits until the environment's owner runs it. Nothing may
  // then wait for background work, so that a copy (Db::Checkpoint) takes the log along instead of flushing
  // it.
  bool one_thread = false;
  // Asked after each batch that was written: whether what is in memory is to be written to a table now. For
  // simulations of one thread: when RocksDB would do it by itself does not follow from a seed. REQUIRES of
  // who says so: nothing is waiting in the background.
  std::function<bool()> flush_now = {};
  // Called in place of ending the process when a write or a sync has failed, with why; the database is lost()
  // then, and whatever used it is to be let go of without its being heard again.
  std::function<void(const std::string& why)> on_end = {};

  // Ends the process, or tells on_end where there is one.
  void End(const std::string& why) const;

  rocksdb::Env* get() const;
};

}  // namespace kfs::meta

// Tells what a loss of power does to RocksDB's log (a write that was cut short or that reached the disk only
// in part: nothing synced is lost with it) from damage to it (synced, acknowledged changes may lie behind
// it). RocksDB's recovery modes know either "any bad checksum is fatal" or "drop everything from there on";
// this stands before them.
#pragma once

#include <string>

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace kfs::meta {

enum class LogState {
  kWhole,  // or it cannot be read: whoever opens it finds out
  // A log ends in a record that is not whole, and nothing whole lies behind it in that log.
  kTorn,
  // A whole record follows a bad one within a log, or within the MANIFEST (which has the same format).
  // RocksDB takes some such records for the end of the file, a length that reaches beyond it for one, and
  // would drop what lies behind without a word. A record of zeros is none: a page that never reached the
  // disk, after the last sync.
  kDamaged,
};

// Of all logs of the database in that directory.
LogState CheckLogs(rocksdb::Env* env, const std::string& db_path);

}  // namespace kfs::meta

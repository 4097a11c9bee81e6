// Tells a torn tail of RocksDB's log (a write that the crash cut short or that reached the disk only in part:
// nothing synced is lost with it) from damage in the middle (synced, acknowledged changes may lie behind it).
// RocksDB's recovery modes know either "any bad checksum is fatal" or "drop everything from there on"; this
// stands between them.
#pragma once

#include <string>

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace kfs::meta {

// True when no intact record follows the first bad one in the logs of the database directory, in order.
bool OnlyTailIsTorn(rocksdb::Env* env, const std::string& db_path);

// True when an intact record follows a bad one within a log, or within the MANIFEST (which has the same
// format). RocksDB takes some such records for the end of the file, a length that reaches beyond it for one,
// and would drop what lies behind without a word. A record of zeros is none: a page that never reached the
// disk, after the last sync.
bool DamagedInside(rocksdb::Env* env, const std::string& db_path);

}  // namespace kfs::meta

// Tells a torn tail of RocksDB's log (a write that the crash cut short or that reached the disk only in part:
// nothing synced is lost with it) from damage in the middle (synced, acknowledged changes may lie behind it).
// RocksDB's recovery modes know either "any bad checksum is fatal" or "drop everything from there on"; this
// stands between them.
#pragma once

#include <string>

namespace kfs::meta {

// True when no intact record follows the first bad one in the logs of the database directory, in order.
bool OnlyTailIsTorn(const std::string& db_path);

}  // namespace kfs::meta

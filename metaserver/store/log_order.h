// The environment of a database in which a log is begun only once the one before it is durable. RocksDB does
// not see to that: it goes on in a new log when it is to write a table, with the end of the older one not
// synced yet. A loss of power could then take that end and leave what is in the new log, and RocksDB would
// replay it across the gap: the database would hold changes without those that they build on.
//
// The writer waits for that sync, once in tens of megabytes. Where it fails, so does the write. Any thread.
#pragma once

#include <rocksdb/env.h>

namespace kfs::meta {

class LogOrderEnv final : public rocksdb::EnvWrapper {
 public:
  // `env` outlives it, and it outlives the database.
  explicit LogOrderEnv(rocksdb::Env* env);
  const char* Name() const override { return "kfs.LogOrderEnv"; }
};

}  // namespace kfs::meta
